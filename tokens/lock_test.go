package tokens

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// lockVariable makes the test program another process that opens a store.
const lockVariable = "OAUTHPROXY_TEST_STORE"

// TestStoreOfAnotherProcess is that process: it holds the store until its
// standard input ends.
func TestStoreOfAnotherProcess(t *testing.T) {
	folder := os.Getenv(lockVariable)
	if folder == "" {
		t.Skip("is run by TestTwoProcesses")
	}
	s := openTestStore(t, folder, KeyOptions{})
	wantSaved(t, s, testAccount, "of another process")
	fmt.Println("open")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
}

func TestTwoProcesses(t *testing.T) {
	folder := t.TempDir()
	other := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestStoreOfAnotherProcess$")
	other.Env = append(os.Environ(), lockVariable+"="+folder)
	in, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "open\n" {
		t.Fatalf("the other process said %q, %v", line, err)
	}
	_, err = OpenStore(folder, KeyOptions{}, nil)
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("by process %d ", other.Process.Pid)) {
		t.Errorf("got %v", err)
	}
	// It ends as in a crash: without Close.
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait()
	_ = in.Close()
	wantLoaded(t, openTestStore(t, folder, KeyOptions{}), testAccount, "of another process")
}

func TestLockedInOneProcess(t *testing.T) {
	folder := t.TempDir()
	s := openTestStore(t, folder, KeyOptions{})
	if _, err := OpenStore(folder, KeyOptions{}, nil); !errors.Is(err, ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	closeStore(t, s)
	closeStore(t, openTestStore(t, folder, KeyOptions{}))
}

// A shared store leaves the folder to others while it isn't used.
func TestSharedStore(t *testing.T) {
	folder := t.TempDir()
	s := openTestStore(t, folder, KeyOptions{})
	wantSaved(t, s, testAccount, "a")
	s.Share()
	other := openTestStore(t, folder, KeyOptions{})
	if err := s.Save(testAccount, []byte("b")); !errors.Is(err, ErrLocked) {
		t.Errorf("while another process has the folder: %v", err)
	}
	if err := other.Rekey(GenerateKey()); err != nil {
		t.Fatal(err)
	}
	closeStore(t, other)
	s.failed = nil // instead of waiting
	wantSaved(t, s, testAccount, "b")
	closeStore(t, openTestStore(t, folder, KeyOptions{}))
	closeStore(t, s)
	if err := s.Save(testAccount, nil); err == nil || !strings.Contains(err.Error(), "is closed") {
		t.Errorf("closed: %v", err)
	}
}

// A store whose key is missing is opened once that is there.
func TestStoreIsOpenedLater(t *testing.T) {
	folder, file := t.TempDir(), filepath.Join(t.TempDir(), "late.key")
	s := NewStore(folder, KeyOptions{File: file}, nil)
	defer s.Close()
	for range 2 {
		if _, err := s.Load(testAccount); !errors.As(err, new(*KeyTrouble)) {
			t.Errorf("without the key: %v", err)
		}
	}
	if _, err := MakeKey(file); err != nil {
		t.Fatal(err)
	}
	s.failedAt = s.failedAt.Add(-2 * retryOpen)
	wantSaved(t, s, testAccount, "a")
	if _, err := OpenStore(folder, KeyOptions{File: file}, nil); !errors.Is(err, ErrLocked) {
		t.Errorf("the folder isn't locked: %v", err)
	}
}

// A store that couldn't be opened leaves no lock.
func TestNoLockIsLeft(t *testing.T) {
	folder := t.TempDir()
	if _, err := OpenStore(folder, KeyOptions{File: filepath.Join(folder, "missing")}, nil); err == nil {
		t.Fatal("opened without its key")
	}
	openTestStore(t, folder, KeyOptions{})
}

// What the file says about its holder is only believed if it is a number.
func TestWhoHolds(t *testing.T) {
	for content, want := range map[string]string{
		"123\n": "process 123", "": "another process", "x": "another process", strings.Repeat("1", 100): "another process",
	} {
		name := filepath.Join(t.TempDir(), "lock")
		mustWrite(t, name, []byte(content))
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := whoHolds(f); got != want {
			t.Errorf("%.9q: %s", content, got)
		}
		_ = f.Close()
	}
}

package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// Whatever prints a Secret, alone or inside of something, prints ***.
func TestSecretIsNeverPrinted(t *testing.T) {
	const value = "correct horse"
	s := NewSecret(value)
	inside := struct {
		Name string
		Pass Secret
	}{"alice", s}
	unexported := struct{ pass Secret }{s}
	var printed strings.Builder
	for _, verb := range strings.Split("v +v #v s q x X d t T p c U e f g b o", " ") {
		for _, thing := range []any{s, &s, inside, &inside, unexported, &unexported, []Secret{s}, map[string]Secret{"k": s}, any(s)} {
			fmt.Fprintf(&printed, "%"+verb+"\n", thing)
		}
	}
	fmt.Fprintln(&printed, s, errors.New(s.String()), fmt.Errorf("because of %w and %s", errors.New("x"), s))
	text, err := json.Marshal(inside)
	if err != nil {
		t.Fatal(err)
	}
	printed.Write(text)
	for _, handler := range []slog.Handler{slog.NewTextHandler(&printed, nil), slog.NewJSONHandler(&printed, nil)} {
		slog.New(handler).Info("login", "password", s, "all", inside, "pointer", &s, "unexported", unexported)
	}
	for _, form := range []string{value, "correct", fmt.Sprintf("%x", value), fmt.Sprintf("%X", value), "63 6f"} {
		if strings.Contains(printed.String(), form) {
			t.Errorf("%q was printed", form)
		}
	}
	if !bytes.Contains(text, []byte(`"***"`)) {
		t.Errorf("JSON: %s", text)
	}
	if s.Reveal() != value {
		t.Error("Reveal does not return the value")
	}
}

func TestSecretIsEmpty(t *testing.T) {
	if !NewSecret("").IsEmpty() || !(Secret{}).IsEmpty() || NewSecret("x").IsEmpty() {
		t.Error("IsEmpty is wrong")
	}
}

func TestSecretIsEqual(t *testing.T) {
	if NewSecret("") != (Secret{}) || NewSecret("a"+fmt.Sprint(1)) != NewSecret("a1") || NewSecret("a") == NewSecret("b") {
		t.Error("== is wrong")
	}
}

// A panic prints its value too.
func TestSecretPanic(t *testing.T) {
	defer func() {
		if text := fmt.Sprint(recover()); strings.Contains(text, "horse") {
			t.Errorf("panic prints %s", text)
		}
	}()
	panic(NewSecret("correct horse"))
}

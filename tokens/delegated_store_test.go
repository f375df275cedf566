package tokens

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The disk is full right after the person has consented: the sign-in works,
// and is saved as soon as there is room.
func TestSavingFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		h.shelf.fail(errFull)
		b := h.open(t)
		defer b.Close()
		status := mustSignIn(t, b)
		if !status.Unsaved || status.State != StateReady || !strings.Contains(status.Text, errFull.Error()) || !strings.Contains(status.Next, "saving is tried again") {
			t.Errorf("status %+v", status)
		}
		if !strings.Contains(h.log.String(), "sign-in not saved") {
			t.Errorf("log: %s", h.log)
		}
		wantToken(t, b, aliceToken(1))
		time.Sleep(renewed) // a renewal that can't be saved either
		wantToken(t, b, aliceToken(2))
		h.shelf.fail(nil)
		time.Sleep(tendEvery)
		synctest.Wait()
		if status := wantState(t, b, StateReady, "", ""); status.Unsaved || status.Text != "" {
			t.Errorf("status %+v", status)
		}
		if !h.shelf.has(testAccount, testRefresh+"-2") || !strings.Contains(h.log.String(), "sign-in saved") {
			t.Error("the newest refresh token wasn't saved")
		}
		saves := h.shelf.saved()
		time.Sleep(6 * tendEvery)
		if h.shelf.saved() > saves+2 {
			t.Error("what is saved is saved again and again")
		}
	})
}

func TestCloseSavesWhatIsUnsaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		h.shelf.fail(errFull)
		b := h.open(t)
		mustSignIn(t, b)
		h.shelf.fail(nil)
		b.Close()
		if !h.shelf.has(testAccount, testRefresh) {
			t.Error("not saved")
		}
	})
}

// The store's files vanish or change places while the broker runs: it goes on
// with what it has, and stores that again.
func TestStoreIsDisturbedWhileRunning(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house, b *Broker) {
		h.shelf.change(func() {
			delete(h.shelf.blobs, testAccount)
			h.shelf.loadErr = &Damaged{File: "a", Reason: "it was swapped"}
		})
		time.Sleep(life)
		wantToken(t, b, aliceToken(2))
		if !h.shelf.has(testAccount, testRefresh+"-2") {
			t.Error("not stored again")
		}
	})
}

func TestFaultsOfTheStore(t *testing.T) {
	tests := []struct {
		name  string
		err   error
		class Class
		words string
	}{
		{"wrong key", &WrongKey{File: "a.sealed", Source: "store.key"}, SetUpWrong, "another key than store.key"},
		{"unreadable", errors.New("permission denied"), SetUpWrong, "the stored sign-in can't be read: permission denied"},
		{"damaged", &Damaged{File: "a.sealed", Reason: "it was cut short"}, PersonNeeded, "it was cut short"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house, b *Broker) {
				b.Close()
				h.shelf.change(func() { h.shelf.loadErr = test.err })
				b = h.open(t)
				defer b.Close()
				wantState(t, b, stateOf(test.class), test.words, "")
				failure := wantFailure(t, t.Context(), b, test.class, test.words)
				if !errors.Is(failure, test.err) || !strings.Contains(h.log.String(), "stored sign-in not taken up") {
					t.Error("the cause is lost")
				}
				h.shelf.change(func() { h.shelf.loadErr = nil })
				if test.class == PersonNeeded {
					mustSignIn(t, b)
				} else {
					time.Sleep(failure.RetryAfter) // it is read again by itself
				}
				if _, err := b.Token(t.Context(), testAccount); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// What the store has is compared with the configuration and with what we store.
func TestStoredSignInDoesNotFit(t *testing.T) {
	change := func(change func(*signedIn)) func(*house) {
		return func(h *house) {
			in := &signedIn{}
			_ = json.Unmarshal(h.shelf.blobs[testAccount], in)
			in.AccessToken = accessToken{} // else that serves as long as it lives
			change(in)
			h.shelf.blobs[testAccount], _ = json.Marshal(in)
		}
	}
	tests := []struct {
		name   string
		change func(*house)
		words  string
	}{
		{"not JSON", func(h *house) { h.shelf.blobs[testAccount] = []byte("garbage") }, "can't be used any more: sign in again"},
		{"empty", func(h *house) { h.shelf.blobs[testAccount] = nil }, "can't be used any more"},
		{"other JSON", func(h *house) { h.shelf.blobs[testAccount] = []byte("[1]") }, "can't be used any more"},
		{"another application", change(func(in *signedIn) { in.ClientID = "other" }), "another application than client_id names"},
		{"another person", change(func(in *signedIn) { in.SignedInAs = "bob@x" }), "bob@x's, and this account needs " + testPerson},
		{"cache of another form", change(func(in *signedIn) { in.Tokens = tokenCache(`"text"`) }), "can't be used any more"},
		{"cache of another shape", change(func(in *signedIn) { in.Tokens = tokenCache(`{"Account":[]}`) }), "can't be used any more"},
		{"cache without the account", change(func(in *signedIn) { in.Tokens = tokenCache(`{}`) }), "can't be used any more"},
		{"cache without a refresh token", change(func(in *signedIn) {
			var parts map[string]json.RawMessage
			_ = json.Unmarshal(in.Tokens, &parts)
			delete(parts, "RefreshToken")
			in.Tokens, _ = json.Marshal(parts)
		}), "doesn't fit this application or authority"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inHouse(t, func(t *testing.T, h *house, b *Broker) {
				b.Close()
				h.shelf.change(func() { test.change(h) })
				b = h.open(t)
				defer b.Close()
				wantFailure(t, t.Context(), b, PersonNeeded, test.words)
				time.Sleep(24 * time.Hour)
				wantRequests(t, h.entra, 1)
				mustSignIn(t, b)
				wantToken(t, b, aliceToken(2))
			})
		})
	}
}

// Without a store everything works until the restart.
func TestMemoryAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		b, err := NewBroker([]Account{{Name: testAccount, SignInAs: testPerson, App: h.app}}, Options{HTTPClient: h.client()})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		mustSignIn(t, b)
		wantToken(t, b, aliceToken(1))
		if err := b.SignOut(testAccount); err != nil {
			t.Fatal(err)
		}
		wantFailure(t, t.Context(), b, PersonNeeded, "nobody")
	})
}

// The real store, over a restart of the program.
func TestRealStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, folder := newHouse(), t.TempDir()
		open := func() (*Store, *Broker) {
			store, err := OpenStore(folder, KeyOptions{}, h.log.logger())
			if err != nil {
				t.Fatal(err)
			}
			b, err := NewBroker([]Account{{Name: testAccount, SignInAs: testPerson, App: h.app}},
				Options{HTTPClient: h.client(), Log: h.log.logger(), Store: store})
			if err != nil {
				t.Fatal(err)
			}
			return store, b
		}
		store, b := open()
		mustSignIn(t, b)
		b.Close()
		store.Close()
		store, b = open()
		wantToken(t, b, aliceToken(1))
		if err := b.SignOut(testAccount); err != nil {
			t.Fatal(err)
		}
		b.Close()
		store.Close()
		store, b = open()
		wantFailure(t, t.Context(), b, PersonNeeded, "nobody has signed in")
		b.Close()
		store.Close()
	})
}

// FuzzStoredSignIn: whatever the store returns, it ends in a sign-in or in the
// wish for one.
func FuzzStoredSignIn(f *testing.F) {
	f.Add([]byte(`{"signed_in_as":"a","home_account_id":"h","client_id":"c","refreshed_at":"2026-01-02T03:04:05Z","msal":{}}`))
	f.Add([]byte(`{"home_account_id":"h","access_token":{"value":"x","expires":"2126-01-02T03:04:05Z"},"scopes":["s"],"msal":{"Account":{"a":{"home_account_id":"h"}}}}`))
	f.Fuzz(func(t *testing.T, blob []byte) {
		e := newEntra()
		s := &delegated{account: Account{Name: "a", App: e.personApp(FlowPassword)}, client: e.client()}
		in, failure := s.parse(blob)
		if failure == nil {
			_ = in.Tokens.canRefresh()
			_, _ = s.stored(in)
		} else if failure.Class != PersonNeeded {
			t.Errorf("class %v", failure.Class)
		}
		if e.requests() != 0 {
			t.Error("a request was made")
		}
	})
}

package tokens

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// An account is usable until it is known that it isn't, and as long as there is
// a token whatever has failed since.
func TestFigures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEntra()
		numbered(e, 3600)
		b := newTestBroker(t, e, e.client(), &logBuffer{})
		defer b.Close()
		want := func(usable bool, want Figures) {
			t.Helper()
			synctest.Wait()
			want.Account = testAccount
			if all := b.Figures(); len(all) != 1 || all[0] != want || all[0].IsUsable() != usable {
				t.Errorf("got %+v, want %+v", all, want)
			}
		}
		want(true, Figures{State: StateReady})
		wantToken(t, b, "token-1")
		want(true, Figures{State: StateReady, Left: time.Hour, Obtained: 1})
		e.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
		time.Sleep(50 * time.Minute) // its renewal is due, and fails several times
		synctest.Wait()
		got := b.Figures()[0]
		if got.State != StateUnreachable || got.Left != 10*time.Minute || got.Failed == 0 || !got.IsUsable() {
			t.Errorf("while the old token is good: %+v", got)
		}
		time.Sleep(time.Hour)
		if got := b.Figures()[0]; got.Left != 0 || got.IsUsable() {
			t.Errorf("when it has ended: %+v", got)
		}
		numbered(e, 3600)
		wantToken(t, b, "token-1")
		if got := b.Figures()[0]; got.State != StateReady || got.Obtained != 2 || !got.IsUsable() {
			t.Errorf("afterwards: %+v", got)
		}
	})
}

package admin

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"oauthproxy/doctor"
)

// notes is an observer that writes down what it is told.
type notes struct {
	begun []string
	found []doctor.Finding
	stop  func() // called at the first finding
}

func (n *notes) Begin(probe, subject string) { n.begun = append(n.begun, probe+" "+subject) }

func (n *notes) Found(f doctor.Finding) {
	n.found = append(n.found, f)
	if n.stop != nil {
		n.stop()
	}
}

func TestCheck(t *testing.T) {
	want := []doctor.Finding{
		{Probe: "dns", Subject: "mail.example", Status: doctor.OK, Seen: "2 addresses", Took: time.Second},
		{Probe: "smtp", Subject: "alice@contoso.com", Account: "alice@contoso.com", Status: doctor.Broken, Seen: "535", Cause: "smtp-off-mailbox",
			Means: "means", Who: "who", Do: "do", Fix: []string{"one", "two"}, Spreads: true},
	}
	var asked Examination
	f := &fake{check: func(_ context.Context, e Examination, o doctor.Observer) error {
		asked = e
		for _, f := range want {
			o.Begin(f.Probe, f.Subject)
			o.Found(f)
		}
		return errors.New("the rest can't be looked at")
	}}
	var n notes
	e := Examination{Accounts: []string{"alice@contoso.com"}, Send: "bob@contoso.com"}
	err := dial(t, serve(t, f)).Check(t.Context(), e, &n)
	if err == nil || err.Error() != "the rest can't be looked at" {
		t.Errorf("got %v", err)
	}
	if !reflect.DeepEqual(asked, e) || !reflect.DeepEqual(n.found, want) || len(n.begun) != 2 || n.begun[0] != "dns mail.example" {
		t.Errorf("asked for %+v, begun %q, found %+v", asked, n.begun, n.found)
	}
}

// TestManyFindings: as many as a thousand accounts have.
func TestManyFindings(t *testing.T) {
	f := &fake{check: func(_ context.Context, _ Examination, o doctor.Observer) error {
		for i := range 10_000 {
			o.Found(doctor.Finding{Probe: "imap", Subject: fmt.Sprint(i), Seen: strings.Repeat("x", 1000)})
		}
		return nil
	}}
	var n notes
	if err := dial(t, serve(t, f)).Check(t.Context(), Examination{}, &n); err != nil || len(n.found) != 10_000 {
		t.Errorf("%d findings, %v", len(n.found), err)
	}
}

// TestCheckEndsWithTheCommand: nobody is examined for somebody who has gone.
func TestCheckEndsWithTheCommand(t *testing.T) {
	ended := make(chan error, 1)
	f := &fake{check: func(ctx context.Context, _ Examination, o doctor.Observer) error {
		o.Found(doctor.Finding{Probe: "dns"})
		<-ctx.Done()
		ended <- ctx.Err()
		return ctx.Err()
	}}
	ctx, cancel := context.WithCancel(t.Context())
	n := notes{stop: cancel}
	if err := dial(t, serve(t, f)).Check(ctx, Examination{}, &n); err == nil || err.Error() != "interrupted" {
		t.Errorf("got %v", err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the service ended with %v", err)
	}
}

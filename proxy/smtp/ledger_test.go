package smtp

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"
)

func TestLedgerSurvivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pace := Pace{RecipientsPerDay: 5}
		before := NewLedger(pace)
		for range 5 {
			before.mailbox("a@contoso.com").reserve()
		}
		before.mailbox("idle@contoso.com")
		text, err := json.Marshal(before)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := json.Marshal(before)
		if string(text) != string(again) {
			t.Errorf("%s\n%s", text, again)
		}
		after := NewLedger(pace)
		if err := json.Unmarshal(text, after); err != nil {
			t.Fatal(err)
		}
		if after.mailbox("a@contoso.com").reserve() {
			t.Error("the day begins anew with the restart")
		}
		if !after.mailbox("b@contoso.com").reserve() {
			t.Error("another mailbox has to pay for it")
		}
		time.Sleep(25 * time.Hour)
		if !after.mailbox("a@contoso.com").reserve() {
			t.Error("the day never ends")
		}
	})
}

func TestLedgerRefusesWhatIsNone(t *testing.T) {
	for text, want := range map[string]string{
		`{"version":1,"recipients":{"a":{"x":1}}}`:                   "it is damaged",
		`{"version":1,"recipients":[]}`:                              "it is damaged",
		`{"version":1,"recipients":{"a":{"1":-9}}}`:                  "it is damaged",
		`{"version":1,"recipients":{"a":{"1":9223372036854775807}}}`: "it is damaged",
		`{"version":1,"recipients":{"a":{"1":9223372036854775808}}}`: "it is damaged",
		`{"version":2,"recipients":"none"}`:                          "it has been written by a newer version of the program: its version is 2, and this program reads 1",
		`{}`:                                                         "it is of the version 0, and this program reads 1",
	} {
		if err := NewLedger(Pace{}).UnmarshalJSON([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
	l := NewLedger(Pace{RecipientsPerDay: 1})
	if err := json.Unmarshal([]byte(`{"version":1,"recipients":{"a":{"-5":3,"99999999999":7,"0":9}}}`), l); err != nil {
		t.Fatal(err)
	}
	if !l.mailbox("a").reserve() {
		t.Error("hours of another time count")
	}
}

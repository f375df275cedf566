package tokens

import (
	"testing"
	"time"
)

func TestStages(t *testing.T) {
	tests := []struct {
		name                   string
		life                   time.Duration
		minRenewal, maxRenewal time.Duration // before the end
		minEnding, maxEnding   time.Duration
	}{
		{"Entra ID's average", 75 * time.Minute, 15 * time.Minute, 18*time.Minute + 45*time.Second, closeToEnd, closeToEnd},
		{"a day", 24 * time.Hour, 288 * time.Minute, 360 * time.Minute, closeToEnd, closeToEnd},
		{"half an hour", 30 * time.Minute, 10 * time.Minute, 12*time.Minute + 30*time.Second, closeToEnd, closeToEnd},
		{"ten minutes", 10 * time.Minute, 5 * time.Minute, 6*time.Minute + 15*time.Second, 150 * time.Second, 150 * time.Second},
		{"a second", time.Second, 500 * time.Millisecond, 625 * time.Millisecond, 250 * time.Millisecond, 250 * time.Millisecond},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			now := time.Now()
			h := newHeld(Token{Expires: now.Add(test.life)}, now)
			if h.renewal < test.minRenewal || h.renewal > test.maxRenewal {
				t.Errorf("renewed %v before the end", h.renewal)
			}
			if h.ending < test.minEnding || h.ending > test.maxEnding {
				t.Errorf("ending %v before the end", h.ending)
			}
			for _, at := range []struct {
				left time.Duration
				want stage
			}{
				{test.life, stageFresh}, {h.renewal + 1000, stageFresh}, {h.renewal - 1000, stageDue}, {h.ending + 1000, stageDue},
				{h.ending - 1000, stageEnding}, {1000, stageEnding}, {0, stageEnded}, {-time.Hour, stageEnded},
			} {
				if got := h.stage(now.Add(test.life - at.left)); got != at.want {
					t.Errorf("with %v left: stage %d, want %d", at.left, got, at.want)
				}
			}
		})
	}
	var none *held
	if none.stage(time.Now()) != stageEnded {
		t.Error("no token hasn't ended")
	}
}

func TestJitterVaries(t *testing.T) {
	now := time.Now()
	renewals := map[time.Duration]bool{}
	for range 100 {
		renewals[newHeld(Token{Expires: now.Add(life)}, now).renewal] = true
	}
	if len(renewals) < 50 {
		t.Errorf("%d different times of renewal for 100 tokens", len(renewals))
	}
}

// The wall clock jumps, as after a laptop's sleep or when the time is
// corrected; whichever clock says that the token has ended is believed.
func TestClockJumps(t *testing.T) {
	now := time.Now()
	h := newHeld(Token{Expires: now.Add(life)}, now)
	if left := h.left(now); left > life || left < life-time.Second {
		t.Fatalf("%v left at the start", left)
	}
	if h.Expires != h.Expires.Round(0) {
		t.Error("the time of expiry is by the monotonic clock, which stands still while a laptop sleeps")
	}
	asleep := newHeld(Token{Expires: now.Add(life)}, now)
	asleep.Expires = asleep.Expires.Add(-2 * life) // the wall clock went on, alone
	if asleep.stage(now) != stageEnded {
		t.Error("good after a sleep longer than its life")
	}
	corrected := newHeld(Token{Expires: now.Add(life)}, now)
	corrected.Expires = corrected.Expires.Add(2 * life) // the wall clock went back
	if corrected.stage(now.Add(life)) != stageEnded {
		t.Error("good beyond its life, after the clock went back")
	}
}

package accounts

import (
	"strings"
	"testing"
)

func TestGenerate(t *testing.T) {
	seen := map[string]bool{}
	counts := map[rune]int{}
	const rounds = 2000
	for range rounds {
		password, bits, err := Generate()
		if err != nil {
			t.Fatal(err)
		}
		text := password.Reveal()
		if len(text) != generatedLength || bits != 64 {
			t.Fatalf("%d characters, %d bits", len(text), bits)
		}
		if seen[text] {
			t.Fatal("the same password twice")
		}
		seen[text] = true
		for _, r := range text {
			counts[r]++
		}
	}
	if generatedLength > 15 {
		t.Error("longer than the strictest devices take")
	}
	if strings.ContainsAny(generatedAlphabet, "0o1liIO") {
		t.Error("the alphabet has characters that look alike")
	}
	// Each character is expected 838 times; a quarter more or less is eight
	// standard deviations away.
	expected := rounds * generatedLength / len(generatedAlphabet)
	for _, r := range generatedAlphabet {
		if counts[r] < expected*3/4 || counts[r] > expected*5/4 {
			t.Errorf("%q was drawn %d times, expected about %d", r, counts[r], expected)
		}
	}
	if len(counts) != len(generatedAlphabet) {
		t.Errorf("%d different characters, the alphabet has %d", len(counts), len(generatedAlphabet))
	}
}

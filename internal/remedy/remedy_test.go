package remedy

import "testing"

func TestTable(t *testing.T) {
	if len(All()) < 70 {
		t.Fatalf("%d remedies", len(All()))
	}
}

//go:build linux

package interop

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestFailedHandshakes: OpenSSL doesn't come to terms with the proxy's TLS, whose
// log tells why. Each cause is told once: all ports have one address here.
func TestFailedHandshakes(t *testing.T) {
	needs(t, "openssl")
	s := newSite(t, newStandIn(t))
	tests := []struct {
		name, cause string
		options     []string
	}{
		{"no root, TLS 1.3", "the client most likely refuses the certificate", []string{"-tls1_3", "-verify_return_error"}},
		{"SHA-1 alone", "can't verify what this listener signs", []string{"-tls1_2", "-sigalgs", "ECDSA+SHA1", "-cipher", "DEFAULT:@SECLEVEL=0"}},
		{"RSA alone", "no kind of key", []string{"-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			command := exec.CommandContext(ctx, "openssl", append([]string{"s_client", "-connect", s.address("imap", implicit)}, test.options...)...)
			command.Env = append(os.Environ(), "OPENSSL_CONF=/dev/null") // the machine's own policy is not the client's
			out, err := command.CombinedOutput()
			if err == nil {
				t.Fatalf("%v succeeds:\n%s", command.Args, out)
			}
			err = s.await("the client's trouble is told", func(log []string) bool {
				return slices.ContainsFunc(log, func(line string) bool {
					var event struct{ Level, Msg, Cause string }
					return json.Unmarshal([]byte(line), &event) == nil &&
						event.Level == "WARN" && event.Msg == "connection refused" && strings.Contains(event.Cause, test.cause)
				})
			})
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

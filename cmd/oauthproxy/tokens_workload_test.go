package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"oauthproxy/internal/sandbox"
)

const (
	clusterIssuer  = "https://cluster.example"
	clusterSubject = "system:serviceaccount:mail:oauthproxy"
)

// clusterToken returns a token that a cluster gives to its workload (RFC 7519),
// signed with the key.
func clusterToken(t *testing.T, key *rsa.PrivateKey, end time.Time) string {
	t.Helper()
	part := func(claims map[string]any) string {
		data, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(data)
	}
	text := part(map[string]any{"alg": "RS256", "typ": "JWT", "kid": "1"}) + "." + part(map[string]any{
		"iss": clusterIssuer, "sub": clusterSubject, "aud": sandbox.FederationAudience, "exp": end.Unix()})
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// TestWorkloadIdentity: the service shows Entra ID the cluster's token that is
// in the file at that time, and shows it to nobody else.
func TestWorkloadIdentity(t *testing.T) {
	key, old := certificateKeys()[0], certificateKeys()[1]
	s := newSite(t, "device_code")
	s.RegisterFederatedIdentity(clusterIssuer, clusterSubject, "", &key.PublicKey)
	ended := clusterToken(t, key, time.Now().Add(-time.Hour))
	foreign := clusterToken(t, old, time.Now().Add(time.Hour))
	first := clusterToken(t, key, time.Now().Add(time.Hour))
	second := clusterToken(t, key, time.Now().Add(2*time.Hour))
	s.write("cluster.token", first+"\n")
	s.change("flow: client_secret, client_secret_file: client.secret", "flow: workload_identity, federated_token_file: cluster.token")
	proxy, smtp := s.serve()
	defer proxy.end(t)
	said := ""
	login := func() outcome {
		got := runCommand(t, "", "login", "scanner@contoso.example", "--config", s.config)
		said += got.err + got.out
		return got
	}

	if err := sendFrom(smtp, "scanner", localPassword, "scanner@contoso.example"); err != nil {
		t.Errorf("with the first token: %v", err)
	}
	for _, step := range []struct{ name, file, words string }{
		{"ended", ended, "AADSTS700024"},
		{"signed by another key", foreign, "AADSTS700027"},
		{"nothing", "", "the federated token"},
		{"the next one", second, "Entra ID gave an access token"},
	} {
		s.write("cluster.token", step.file)
		if got := login(); !strings.Contains(got.err, step.words) || (got.status == exitWell) != (step.file == second) {
			t.Errorf("%s: got %+v, want %q", step.name, got, step.words)
		}
	}
	if got := s.accounts()["scanner@contoso.example"]; got.State != "ready" || got.Text != "" {
		t.Errorf("accounts says %+v", got)
	}
	if requests := s.TokenRequests(); requests != 4 {
		t.Errorf("%d token requests, want one for each token in the file", requests)
	}
	for _, token := range []string{ended, foreign, first, second} {
		for _, part := range strings.Split(token, ".")[1:] {
			if strings.Contains(proxy.err.String()+said, part) {
				t.Errorf("a part of a token was shown:\n%s%s", proxy.err, said)
			}
		}
	}
}

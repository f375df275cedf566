package docs

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"oauthproxy/accounts"
	"oauthproxy/config"
)

// snippet is a part of a configuration in a page.
var snippet = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// rest is what a snippet lacks of a configuration.
var rest = map[string]string{
	"apps": `
apps:
  devices:
    tenant: contoso.onmicrosoft.com
    client_id: 66666666-7777-8888-9999-000000000000
    flow: client_secret
    client_secret_file: devices.secret
`,
	"listeners": `
listeners:
  - {protocol: smtp, address: "127.0.0.1:1587"}
`,
	"accounts": `
accounts:
  - mailbox: scanner@contoso.com
    app: devices
    logins:
      - {user: copier1, password_hash: "$argon2id$v=19$m=19456,t=2,p=1$TsLva9KlLQZNgZTBCtcAYg$XtUcwrEEyC8q4UwdqJo7tHlhwFChq9+A9UyjG1wT7/o"}
`,
}

// TestSnippetsLoad loads every part of a configuration that a page shows.
func TestSnippetsLoad(t *testing.T) {
	found := 0
	for _, page := range pages(t) {
		for n, m := range snippet.FindAllStringSubmatch(read(t, filepath.Join(root, page)), -1) {
			found++
			t.Run(fmt.Sprintf("%s %d", page, n+1), func(t *testing.T) { loads(t, m[1]) })
		}
	}
	if found == 0 {
		t.Error("no page shows a part of a configuration")
	}
}

func loads(t *testing.T, text string) {
	folder := t.TempDir()
	for section, missing := range rest {
		if !strings.Contains("\n"+text, "\n"+section+":") {
			text += missing
		}
	}
	certificate, key := pair(t)
	files := map[string]string{"config.yaml": text, "devices.secret": "x", "proxy.pem": certificate, "proxy.key": key}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := config.Load(filepath.Join(folder, "config.yaml"), accounts.CheckHash); err != nil {
		t.Error(err)
	}
}

// pair returns a certificate and its key: net/http/httptest has one.
func pair(t *testing.T) (certificate, key string) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	own := server.TLS.Certificates[0]
	der, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return encode("CERTIFICATE", own.Certificate[0]), encode("PRIVATE KEY", der)
}

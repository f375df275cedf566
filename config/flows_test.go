package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// withApp is the smallest configuration with another app.
func withApp(app string) string {
	_, rest, _ := strings.Cut(smallest, "listeners:")
	return "apps: {devices: {" + app + "}}\nlisteners:" + rest
}

const ids = "tenant: contoso.com, client_id: 66666666-7777-8888-9999-000000000000, "

// TestFlows: each flow with all of its keys.
func TestFlows(t *testing.T) {
	tests := []struct {
		name, app string
		want      App
		hasPerson bool
	}{
		{"browser", ids + "flow: browser", App{}, true},
		{"device code", ids + "flow: device_code", App{}, true},
		{"password", ids + "flow: password, allow_deprecated: true", App{}, true},
		{"client secret", ids + "flow: client_secret, client_secret_file: devices.secret", App{ClientSecretFile: "devices.secret"}, false},
		{"certificate", ids + "flow: certificate, certificate_file: app.pem, key_file: app.key, certificate_password_file: app.password",
			App{CertificateFile: "app.pem", KeyFile: "app.key", CertificatePasswordFile: "app.password"}, false},
		{"workload identity", ids + "flow: workload_identity, federated_token_file: cluster.token", App{FederatedTokenFile: "cluster.token"}, false},
		{"managed identity", "flow: managed_identity", App{}, false},
		{"user-assigned", "flow: managed_identity, managed_identity_client_id: 66666666-7777-8888-9999-000000000000",
			App{ManagedIdentityClientID: "66666666-7777-8888-9999-000000000000"}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			folder := fixture(t)
			got := mustLoad(t, folder, withApp(test.app)).Apps["devices"]
			if got.HasPerson() != test.hasPerson {
				t.Errorf("HasPerson returns %v", got.HasPerson())
			}
			want := test.want
			for _, file := range []*string{&want.ClientSecretFile, &want.CertificateFile, &want.KeyFile, &want.CertificatePasswordFile, &want.FederatedTokenFile} {
				if *file != "" {
					*file = filepath.Join(folder, *file)
				}
			}
			want.Flow = got.Flow
			if strings.HasPrefix(test.app, ids) {
				want.Tenant, want.ClientID = "contoso.com", "66666666-7777-8888-9999-000000000000"
				want.Authority = "https://login.microsoftonline.com/contoso.com"
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

// TestSharedTenants: people may come from any directory.
func TestSharedTenants(t *testing.T) {
	for _, tenant := range []string{"common", "organizations", "Consumers"} {
		t.Run(tenant, func(t *testing.T) {
			c := mustLoad(t, fixture(t), withApp(strings.Replace(ids, "contoso.com", tenant, 1)+"flow: device_code"))
			if got, want := c.Apps["devices"].Authority, "https://login.microsoftonline.com/"+tenant; got != want {
				t.Errorf("the authority is %s, want %s", got, want)
			}
		})
	}
}

// TestScopes: a token is asked for what the account can use, and no more.
func TestScopes(t *testing.T) {
	const secret = ids + "flow: client_secret, client_secret_file: devices.secret"
	const person = ids + "flow: device_code"
	tests := []struct{ name, app, cloud, listeners, protocols, want string }{
		{"application", secret, "worldwide", "imap smtp", "", "https://outlook.office365.com/.default"},
		{"application in China", secret, "china", "imap", "", "https://partner.outlook.cn/.default"},
		{"application's own", secret + `, scopes: ["https://ps.outlook.com/.default", offline_access]`, "worldwide", "imap", "", "https://ps.outlook.com/.default"},
		{"one protocol", person, "worldwide", "imap", "", "https://outlook.office.com/IMAP.AccessAsUser.All"},
		{"all protocols", person, "worldwide", "smtp pop3 imap", "",
			"https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/POP.AccessAsUser.All https://outlook.office.com/SMTP.Send"},
		{"login with fewer", person, "worldwide", "smtp pop3 imap", "smtp", "https://outlook.office.com/SMTP.Send"},
		{"login with more", person, "worldwide", "smtp", "smtp, imap", "https://outlook.office.com/SMTP.Send"},
		{"nothing in common", person, "worldwide", "imap", "pop3, smtp", "https://outlook.office.com/POP.AccessAsUser.All https://outlook.office.com/SMTP.Send"},
		{"gcc-high", person, "gcc-high", "smtp", "", "https://outlook.office365.us/SMTP.Send"},
		{"dod", person, "dod", "smtp", "", "https://outlook-dod.office365.us/SMTP.Send"},
		{"china", person, "china", "smtp", "", "https://partner.outlook.cn/SMTP.Send"},
		{"person's own", person + `, scopes: ["https://example.com/SMTP.Send", Openid, profile]`, "worldwide", "imap", "", "https://example.com/SMTP.Send"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var listeners, protocols string
			for _, protocol := range strings.Fields(test.listeners) {
				listeners += fmt.Sprintf("  - {protocol: %s, address: '127.0.0.1:0'}\n", protocol)
			}
			if test.protocols != "" {
				protocols = ", protocols: [" + test.protocols + "]"
			}
			text := strings.Replace(withApp(test.app), "  - {protocol: imap, address: \"127.0.0.1:1143\"}\n", listeners, 1)
			text = strings.Replace(text, `good"}`, `good"`+protocols+"}", 1)
			c := mustLoad(t, fixture(t), text+"upstream: {cloud: "+test.cloud+"}\n")
			if got := strings.Join(c.Accounts[0].Scopes, " "); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestSignInAs(t *testing.T) {
	text := withApp(ids + "flow: browser")
	if a := mustLoad(t, fixture(t), text).Accounts[0]; a.SignInAs != "" || a.Person() != "scanner@contoso.com" {
		t.Errorf("without it: %q, %s", a.SignInAs, a.Person())
	}
	text = strings.Replace(text, "    app:", "    sign_in_as: alice@contoso.com\n    app:", 1)
	if a := mustLoad(t, fixture(t), text).Accounts[0]; a.SignInAs != "alice@contoso.com" || a.Person() != "alice@contoso.com" {
		t.Errorf("with it: %q, %s", a.SignInAs, a.Person())
	}
}

// TestFindStateDirectory: it is found without anything that the configuration
// names.
func TestFindStateDirectory(t *testing.T) {
	const absolute = "/srv/state"
	tests := []struct{ name, text, want string }{
		{"a secret that can't be read", strings.Replace(smallest, "devices.secret", "nowhere.secret", 1) + "state_directory: " + absolute, absolute},
		{"nothing else", "state_directory: " + absolute, absolute},
		{"problems elsewhere", "colour: blue\napps: []\nstate_directory: " + absolute, absolute},
		{"no YAML", "state_directory: " + absolute + "\nlisteners: [", absolute},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(fixture(t), "config.yaml")
			writeFile(t, file, test.text)
			if got, err := FindStateDirectory(file); got != test.want || err != nil {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
	for _, text := range []string{"{", "\x00", "- a list", "state_directory: [", "state_directory: {a: b}"} {
		file := filepath.Join(fixture(t), "config.yaml")
		writeFile(t, file, text)
		t.Setenv("STATE_DIRECTORY", "/var/lib/usual")
		if got, err := FindStateDirectory(file); got != "/var/lib/usual" || err != nil {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
	if _, err := FindStateDirectory(filepath.Join(t.TempDir(), "nowhere.yaml")); err == nil {
		t.Error("a file that isn't there is no error")
	}
}

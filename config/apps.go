package config

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// apps reads the applications.
func apps(top *section, c cloud) map[string]App {
	f, ok := top.fields["apps"]
	if !ok {
		top.report("apps", "name at least one application registered in Entra ID", "missing")
		return nil
	}
	if f.value.kind == nothing {
		return nil
	}
	if f.value.kind != mapping || len(f.value.fields) == 0 {
		top.report("apps", "give each application a name of your choice", "expected names of applications, each with its keys")
		return nil
	}
	all := make(map[string]App)
	names := make(map[string]string) // as written, by folded name
	for _, f := range f.value.fields {
		path := "apps." + f.key
		if other, ok := names[fold(f.key)]; ok {
			top.reader.report(f.line, path, "choose names that differ in more than case", "there is an app %s already", other)
		}
		names[fold(f.key)] = f.key
		all[f.key] = App{}
		if s, ok := top.section(f.value, path, appKeys); ok {
			all[f.key] = app(s, c)
		}
	}
	return all
}

func app(s *section, c cloud) App {
	a := App{Flow: s.flow()}
	a.Tenant, a.ClientID = s.text("tenant"), s.text("client_id")
	s.checkTenant(a)
	s.checkGUID("client_id", needHints["client_id"])
	if a.Flow != ManagedIdentity {
		a.Authority = s.authority(c.authority, a.Tenant)
	}
	a.Scopes = s.scopes(a.Flow)
	a.ClientSecretFile = s.secretFile("client_secret_file", "it holds the client secret's value, nothing else")
	a.CertificateFile = s.readable("certificate_file")
	a.KeyFile = s.readable("key_file")
	a.CertificatePasswordFile = s.secretFile("certificate_password_file", "it holds the password of the certificate's key, nothing else")
	a.FederatedTokenFile = s.secretFile("federated_token_file", "it holds the workload's token, nothing else")
	a.ManagedIdentityClientID = s.text("managed_identity_client_id")
	s.checkGUID("managed_identity_client_id", "Azure shows it in the managed identity's overview as Client ID")
	return a
}

// checkGUID reports a key whose value isn't a GUID. It doesn't quote that,
// which may be the client secret.
func (s *section) checkGUID(key, hint string) {
	if id := s.text(key); id != "" && !guid.MatchString(id) {
		s.report(key, hint, "expected an ID such as 11111111-2222-3333-4444-555555555555")
	}
}

// secretFile returns the file that a key names, after reading a secret from
// it once; later it is read whenever the secret is needed. The hint says what
// it holds.
func (s *section) secretFile(key, hint string) string {
	file := s.fileName(key)
	if file != "" {
		if _, err := ReadSecret(file); err != nil {
			s.report(key, readingHint(err, hint), "%v", err)
		}
	}
	return file
}

// readable returns the file that a key names, after reading it once.
func (s *section) readable(key string) string {
	file := s.fileName(key)
	s.read(key, file)
	return file
}

var (
	guid   = regexp.MustCompile(`^(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	domain = regexp.MustCompile(`^(?i)([0-9a-z]([0-9a-z-]{0,61}[0-9a-z])?\.)+[0-9a-z-]{2,63}$`)
)

// manyTenants stand for more than one tenant.
var manyTenants = []string{"common", "organizations", "consumers"}

// checkTenant reports a tenant that can't be one.
func (s *section) checkTenant(a App) {
	const hint = "such as contoso.onmicrosoft.com, or the Directory (tenant) ID in the app registration's overview"
	many := slices.Contains(manyTenants, strings.ToLower(a.Tenant))
	switch {
	case a.Tenant == "" || many && (a.Flow == "" || a.HasPerson()):
	case many:
		s.report("tenant", hint, "%s stands for many tenants, and an application that acts by itself does so in one", a.Tenant)
	case !guid.MatchString(a.Tenant) && !domain.MatchString(a.Tenant):
		s.report("tenant", hint, "expected the directory's ID or one of its domains")
	}
}

// authority returns the URL of the tenant at Entra ID. One without a path is
// a base like that of the clouds.
func (s *section) authority(base, tenant string) string {
	if own := s.text("authority"); own != "" {
		base = strings.TrimSuffix(own, "/")
	}
	u, err := url.Parse(base)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		s.report("authority", "", "expected an address such as https://login.microsoftonline.com")
	case u.Scheme != "https":
		s.report("authority", "begin it with https://", "%s would send secrets readable over the network", u.Scheme)
	case u.Path == "":
		return fmt.Sprintf("%s/%s", base, tenant)
	}
	return base
}

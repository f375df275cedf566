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
	a := App{
		Tenant:   s.required("tenant", "the ID of your directory in Entra ID or one of its domains, such as contoso.onmicrosoft.com"),
		ClientID: s.required("client_id", "Entra ID shows it in the app registration's overview as Application (client) ID"),
		Flow:     s.flow(),
		Scope:    c.scope,
	}
	s.checkTenant(a)
	if a.ClientID != "" && !guid.MatchString(a.ClientID) {
		// It may be the client secret: don't quote it.
		s.report("client_id", "Entra ID shows it in the app registration's overview as Application (client) ID",
			"expected an ID such as 11111111-2222-3333-4444-555555555555")
	}
	a.Authority = s.authority(c.authority, a.Tenant)
	if a.Flow == ClientSecret {
		s.required("client_secret_file", "name a file that holds the client secret's value, nothing else")
	}
	a.ClientSecretFile = s.fileName("client_secret_file")
	if a.ClientSecretFile != "" {
		secret, err := ReadSecret(a.ClientSecretFile)
		if err != nil {
			s.report("client_secret_file", "it holds the client secret's value, nothing else", "%v", err)
		}
		a.ClientSecret = secret
	}
	return a
}

// flow reads how the application gets its tokens.
func (s *section) flow() string {
	flow := s.text("flow")
	if slices.Contains(laterFlows, flow) {
		s.report("flow", "", "flow %s isn't built yet in this version; %s is", flow, ClientSecret)
		return ""
	}
	s.required("flow", "the way to a token: "+ClientSecret)
	return s.choice("flow", "", ClientSecret)
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
	case a.Tenant == "" || many && a.Flow != ClientSecret:
	case many:
		s.report("tenant", hint, "%s stands for many tenants, and a client secret is good for one alone", a.Tenant)
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
		s.report("authority", "begin it with https://", "%s would send the client secret readable over the network", u.Scheme)
	case u.Path == "":
		return fmt.Sprintf("%s/%s", base, tenant)
	}
	return base
}

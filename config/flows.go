package config

import (
	"slices"
	"strings"
)

// The ways by which an application gets its tokens. In Browser, DeviceCode and
// Password a person signs in and the application acts for that person; in the
// others the application itself may use the mailboxes.
const (
	Browser          = "browser"           // RFC 6749 section 4.1, with PKCE
	DeviceCode       = "device_code"       // RFC 8628
	Password         = "password"          // RFC 6749 section 4.3, deprecated
	ClientSecret     = "client_secret"     // RFC 6749 section 4.4
	Certificate      = "certificate"       // RFC 7523
	WorkloadIdentity = "workload_identity" // RFC 7523, with another issuer's token
	ManagedIdentity  = "managed_identity"  // of the Azure machine this runs on
)

// flow says which keys of an app belong to a flow, besides those that every
// app may have.
type flow struct {
	name   string
	person bool // signs in
	needs  []string
	may    []string
}

// flows are in the order of hints.
var flows = []flow{
	{name: DeviceCode, person: true, needs: []string{"tenant", "client_id"}, may: []string{"authority"}},
	{name: Browser, person: true, needs: []string{"tenant", "client_id"}, may: []string{"authority"}},
	{name: ClientSecret, needs: []string{"tenant", "client_id", "client_secret_file"}, may: []string{"authority"}},
	{name: Certificate, needs: []string{"tenant", "client_id", "certificate_file"},
		may: []string{"authority", "key_file", "certificate_password_file"}},
	{name: WorkloadIdentity, needs: []string{"tenant", "client_id", "federated_token_file"}, may: []string{"authority"}},
	{name: ManagedIdentity, may: []string{"managed_identity_client_id"}},
	{name: Password, person: true, needs: []string{"tenant", "client_id"}, may: []string{"authority", "allow_deprecated"}},
}

// needHints tell what to write where a key is missing.
var needHints = map[string]string{
	"tenant":               "the ID of your directory in Entra ID or one of its domains, such as contoso.onmicrosoft.com",
	"client_id":            "Entra ID shows it in the app registration's overview as Application (client) ID",
	"client_secret_file":   "name a file that holds the client secret's value, nothing else",
	"certificate_file":     "name a file with the certificate and its key, in PEM or PFX",
	"federated_token_file": "name the file in which the workload finds its token; in Kubernetes, the one that AZURE_FEDERATED_TOKEN_FILE tells",
}

// HasPerson tells whether a person signs in for the app's accounts.
func (a App) HasPerson() bool {
	f, _ := findFlow(a.Flow)
	return f.person
}

func findFlow(name string) (flow, bool) {
	i := slices.IndexFunc(flows, func(f flow) bool { return f.name == name })
	if i < 0 {
		return flow{}, false
	}
	return flows[i], true
}

// flow reads how the application gets its tokens, and reports the keys that
// are missing for that or have no use with it.
func (s *section) flow() string {
	var names []string
	for _, f := range flows {
		names = append(names, f.name)
	}
	s.required("flow", "the way to a token: "+strings.Join(names, ", "))
	name := s.choice("flow", "", names...)
	f, ok := findFlow(name)
	if !ok {
		f.needs = []string{"tenant", "client_id"} // those of nearly all
	}
	for _, key := range f.needs {
		s.required(key, needHints[key])
	}
	if ok {
		s.checkUseless(f)
	}
	if allowed := s.flag("allow_deprecated"); name == Password && !allowed {
		s.report("flow", "let people sign in with device_code or browser, or set allow_deprecated: true",
			"the flow password is deprecated: it knows no second factor, and Microsoft advises against it")
	}
	return name
}

// checkUseless reports the keys of other flows.
func (s *section) checkUseless(f flow) {
	for _, other := range flows {
		for _, key := range slices.Concat(other.needs, other.may) {
			if s.has(key) && !slices.Contains(f.needs, key) && !slices.Contains(f.may, key) {
				s.report(key, "remove it, or choose the flow that it belongs to", "it has no use with the flow %s", f.name)
				delete(s.fields, key)
			}
		}
	}
}

package tokens

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// alwaysAsked are the scopes that MSAL adds by itself. Given to it, they make
// it refuse the answer, because Entra ID doesn't repeat them there.
var alwaysAsked = []string{"openid", "offline_access", "profile"}

// withoutAlwaysAsked returns the scopes that are left to ask for.
func withoutAlwaysAsked(scopes []string) []string {
	return slices.DeleteFunc(slices.Clone(scopes), func(scope string) bool {
		return slices.Contains(alwaysAsked, strings.ToLower(scope))
	})
}

// sharedTenants are no tenants, but stand for many.
var sharedTenants = []string{"common", "organizations", "consumers"}

// tenant is the authority's last part: a GUID, a domain or a shared name.
func (a App) tenant() string {
	authority := strings.TrimRight(a.Authority, "/")
	return authority[strings.LastIndex(authority, "/")+1:]
}

// check finds what no token request could succeed with.
func (a App) check() error {
	if len(withoutAlwaysAsked(a.Scopes)) == 0 {
		return errors.New("there is no scope to ask for")
	}
	if a.Flow == FlowManagedIdentity {
		return a.checkManagedIdentity()
	}
	authority, err := url.Parse(a.Authority)
	switch {
	case err != nil || authority.Scheme != "https" || authority.Host == "" || strings.Trim(authority.Path, "/") == "":
		return fmt.Errorf("the authority %q must be an https address with a tenant, e.g. https://login.microsoftonline.com/contoso.onmicrosoft.com", a.Authority)
	case a.ClientID == "":
		return errors.New("the client ID is missing")
	case a.Flow.hasPerson():
		return nil
	case slices.Contains(sharedTenants, strings.ToLower(a.tenant())):
		return fmt.Errorf("the flow %s needs a tenant of its own, not %s: set tenant to its ID or domain", a.Flow, a.tenant())
	}
	return a.checkCredential()
}

// checkManagedIdentity: a request names one resource, not scopes.
func (a App) checkManagedIdentity() error {
	if len(a.Scopes) != 1 || !strings.HasSuffix(a.Scopes[0], defaultScope) {
		return fmt.Errorf("the flow %s needs one scope that ends in %s", a.Flow, defaultScope)
	}
	return nil
}

// defaultScope after a resource stands for all of its permissions.
const defaultScope = "/.default"

func (a App) checkCredential() error {
	missing := false
	switch a.Flow {
	case FlowClientSecret:
		missing = a.ClientSecret == nil
	case FlowCertificate:
		missing = a.Certificate == nil
	case FlowWorkloadIdentity:
		missing = a.FederatedToken == nil
	default:
		return fmt.Errorf("the flow %q isn't built in", a.Flow)
	}
	if missing {
		return fmt.Errorf("the %s is missing", credentialNames[a.Flow])
	}
	return nil
}

// credentialNames are what people call the thing that proves an application.
var credentialNames = map[Flow]string{
	FlowClientSecret:     "client secret",
	FlowCertificate:      "certificate",
	FlowWorkloadIdentity: "federated token",
}

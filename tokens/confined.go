package tokens

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// loginHosts are those of Microsoft's clouds. One may send a tenant's
// requests to another, e.g. those of a government tenant to its own cloud's.
var loginHosts = []string{
	"login.microsoftonline.com", "login.microsoft.com", "login.windows.net", "sts.windows.net",
	"login.microsoftonline.us", "login-us.microsoftonline.com", "login.usgovcloudapi.net",
	"login.partner.microsoftonline.cn", "login.chinacloudapi.cn",
}

// errElsewhere: the endpoints come from a document of the authority's, which
// could name any host.
var errElsewhere = errors.New("the authority sends requests to a host that isn't its own")

// isHome tells whether what is meant for the authority may go to the host. One
// on this machine, as for a trial, may have many names and ports.
func isHome(host, authority string) bool {
	own, err := url.Parse(authority)
	host = plainHost(host)
	return err == nil && (host == plainHost(own.Host) || slices.Contains(loginHosts, host) || isLocal(host) && isLocal(own.Host))
}

func isLocal(host string) bool {
	name := (&url.URL{Host: host}).Hostname()
	ip, err := netip.ParseAddr(name)
	return name == "localhost" || err == nil && ip.IsLoopback()
}

func plainHost(host string) string { return strings.TrimSuffix(strings.ToLower(host), ":443") }

// confined returns the client with what keeps an app's secrets at its authority.
func confined(client *http.Client, app App) *http.Client {
	if app.Flow == FlowPassword {
		return client // a company's own server may be the one to check its people's passwords
	}
	return withTransport(client, &confinedTransport{next: transportOf(client), authority: app.Authority})
}

type confinedTransport struct {
	next      http.RoundTripper
	authority string
}

// RoundTrip refuses a request to elsewhere.
func (t *confinedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !isHome(r.URL.Host, t.authority) {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, errElsewhere
	}
	return t.next.RoundTrip(r)
}

package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"time"

	"oauthproxy/internal/remedy"
)

// maxDiscovery bounds what is read of a document, in bytes.
const maxDiscovery = 256 << 10

// authority is a tenant's address at Entra ID.
type authority struct {
	url     *url.URL
	account Account // the first one that uses it
}

// tenancy is where an account's app signs in: there is one probe of each.
type tenancy struct{ authority, cloud string }

func (a Account) tenancy() tenancy { return tenancy{a.Authority, a.Cloud} }

// finding is one of that remedy about it.
func (a authority) finding(s Status, id, seen string) Finding {
	return wrong(s, seen, remedy.Named(id), a.facts(nil))
}

// explain is the finding of an error in place of its answer.
func (a authority) explain(err error) Finding {
	o := explain(err)
	if _, isNet := errors.AsType[*net.OpError](err); o.remedy == unexplained && !isNet { // nor an alert of TLS
		o.remedy = "discovery-unusable"
	}
	return wrong(Broken, o.seen, remedy.Named(o.remedy), a.facts(o.facts))
}

// facts fill the placeholders of remedies about it; more go before.
func (a authority) facts(more map[string]string) map[string]string {
	facts := a.account.facts()
	facts["host"] = a.url.Host
	maps.Copy(facts, more)
	return facts
}

// answer is what came of the question for a discovery document.
type answer struct {
	findings []Finding
	clock    clock
}

// entra looks at the tenants' discovery documents and the clock.
func (e *examination) entra(ctx context.Context) {
	authorities := e.authorities()
	transport := e.entraTransport()
	var best clock
	inOrder(ctx, authorities,
		func(ctx context.Context, a authority) answer { return e.discover(ctx, transport, a) },
		func(a authority) func(answer) {
			found := e.probe("entra", a.url.String(), "")
			return func(got answer) {
				for _, f := range got.findings {
					found(f)
					if f.Status == Broken {
						f.Subject = a.url.String()
						e.refusing[a.account.tenancy()] = f
					}
				}
				best = best.orBetter(got.clock)
			}
		})
	if len(authorities) > 0 && ctx.Err() == nil {
		e.probe("clock", cmp.Or(best.host, authorities[0].url.Host), "")(best.finding())
	}
}

// authorities lists those of all accounts, each once.
func (e *examination) authorities() []authority {
	var all []authority
	known := make(map[tenancy]bool)
	for _, a := range e.Accounts {
		u, key := a.authority(), a.tenancy()
		if u == nil || known[key] {
			continue
		}
		known[key] = true
		all = append(all, authority{u, a})
	}
	return all
}

// connectRefused is a web proxy's answer to CONNECT, if that isn't 200 (RFC
// 9110 section 9.3.6).
type connectRefused struct {
	proxy, host string
	status      int
}

func (r *connectRefused) Error() string {
	return fmt.Sprintf("the web proxy answers with status %d", r.status)
}

// WebProxy makes it known to [remedy.ByError].
func (r *connectRefused) WebProxy() (proxy, host string, status int) {
	return r.proxy, r.host, r.status
}

// entraTransport is that of the client for Entra ID: it follows no redirects.
// Here it keeps no connections, and tells what a web proxy answers.
func (e *examination) entraTransport() http.RoundTripper {
	transport := http.DefaultTransport
	if e.HTTP != nil && e.HTTP.Transport != nil {
		transport = e.HTTP.Transport
	}
	t, ok := transport.(*http.Transport)
	if !ok {
		return transport
	}
	t = t.Clone()
	t.DisableKeepAlives = true
	t.OnProxyConnectResponse = func(_ context.Context, proxy *url.URL, request *http.Request, answer *http.Response) error {
		if answer.StatusCode != http.StatusOK {
			return &connectRefused{proxy.Host, request.Host, answer.StatusCode}
		}
		return nil
	}
	return t
}

// discover asks for a tenant's discovery document (OpenID Connect Discovery
// 1.0 section 4) and judges the answer.
func (e *examination) discover(ctx context.Context, transport http.RoundTripper, a authority) answer {
	if address := addressOf(a.url); !e.ThroughProxy && e.unreachable[address] != "" {
		return answer{findings: []Finding{e.untried(address)}}
	}
	ctx, cancel := context.WithTimeout(ctx, discoveryTimeout)
	defer cancel()
	begun := time.Now()
	got := e.ask(ctx, transport, a)
	for i := range got.findings {
		got.findings[i].Took = time.Since(begun)
	}
	return got
}

func (e *examination) ask(ctx context.Context, transport http.RoundTripper, a authority) answer {
	document := a.url.JoinPath("v2.0/.well-known/openid-configuration")
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, document.String(), nil)
	if err != nil {
		return unasked(a, err)
	}
	sent := time.Now()
	response, err := transport.RoundTrip(request)
	if err != nil {
		return unasked(a, err)
	}
	received := time.Now()
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxDiscovery))
	if err != nil {
		return unasked(a, err)
	}
	f, isEntra := judgeDiscovery(a, response, body)
	got := answer{findings: []Finding{f}}
	if !isEntra {
		return got
	}
	got.clock = readClock(a.url.Host, response.Header, sent, received)
	if e.ThroughProxy && response.TLS != nil { // else it has been looked at
		if f := judgeCertificate(a.url.Hostname(), *response.TLS); f.Status != OK {
			got.findings = append(got.findings, f)
		}
	}
	return got
}

// unasked is the answer where there is none.
func unasked(a authority, err error) answer {
	if operation, ok := errors.AsType[*net.OpError](err); ok && operation.Op == "proxyconnect" {
		err = &odd{remedy: "web-proxy-unreachable", seen: explain(operation.Err).seen, facts: map[string]string{"proxy": where(operation.Err)}}
	}
	return answer{findings: []Finding{a.explain(err)}}
}

// where tells at which address an error of a connection happened; "" if it
// doesn't tell.
func where(err error) string {
	dns, isDNS := errors.AsType[*net.DNSError](err)
	operation, isNet := errors.AsType[*net.OpError](err)
	switch {
	case isDNS:
		return clean(dns.Name)
	case isNet && operation.Addr != nil:
		return operation.Addr.String()
	}
	return ""
}

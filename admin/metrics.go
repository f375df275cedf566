package admin

import (
	"cmp"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"oauthproxy/proxy"
	"oauthproxy/tokens"
)

// NewRegistry returns a registry of all metrics. It asks for the figures each
// time it is gathered from.
func NewRegistry(figures func() Figures) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		newCollector(figures),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return registry
}

// collector makes metrics of figures.
type collector struct {
	figures func() Figures
	kinds   map[string]kind
	descs   map[string]*prometheus.Desc
}

func newCollector(figures func() Figures) *collector {
	c := &collector{figures: figures, kinds: make(map[string]kind), descs: make(map[string]*prometheus.Desc)}
	for _, f := range families {
		c.kinds[f.name] = f.kind
		c.descs[f.name] = prometheus.NewDesc(f.name, f.help, f.labels, nil)
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range c.descs {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	f := c.figures()
	s := &scrape{c, to}
	s.put("oauthproxy_build_info", 1, f.Version)
	s.put("oauthproxy_ready", truth(f.IsReady))
	for _, p := range f.Protocols {
		s.protocol(p)
	}
	for _, a := range f.Accounts {
		s.account(a)
	}
	for _, certificate := range f.Certificates {
		s.put("oauthproxy_certificate_left_seconds", certificate.Left.Seconds(), certificate.Of, certificate.Name)
	}
}

// scrape is one collection.
type scrape struct {
	*collector
	to chan<- prometheus.Metric
}

// put gives a family's value for the labels.
func (s *scrape) put(name string, value float64, labels ...string) {
	s.to <- prometheus.MustNewConstMetric(s.descs[name], s.kinds[name].value(), value, labels...)
}

func (s *scrape) protocol(f proxy.Figures) {
	s.put("oauthproxy_sessions", float64(f.Arriving), f.Protocol, "arriving")
	s.put("oauthproxy_sessions", float64(f.LoggedIn), f.Protocol, "logged_in")
	s.put("oauthproxy_sessions_total", float64(f.Sessions), f.Protocol)
	s.put("oauthproxy_legacy_tls_sessions_total", float64(f.LegacyTLS), f.Protocol)
	s.put("oauthproxy_relayed_bytes_total", float64(f.Up), f.Protocol, "to_upstream")
	s.put("oauthproxy_relayed_bytes_total", float64(f.Down), f.Protocol, "to_client")
	s.put("oauthproxy_logins_total", float64(f.Accepted), f.Protocol, "ok")
	for kind, n := range f.Refused {
		s.put("oauthproxy_logins_total", float64(n), f.Protocol, label(kind.String()))
	}
	for refusal, n := range f.Refusals {
		s.put("oauthproxy_upstream_refusals_total", float64(n), f.Protocol, refusal.What, cmp.Or(refusal.Cause, "unknown"))
	}
	for phase, durations := range f.Phases {
		isOfMessage := phase == proxy.PhaseMessage || phase == proxy.PhaseMessageWait
		if isOfMessage && f.Protocol != smtpName {
			continue
		}
		s.durations("oauthproxy_phase_duration_seconds", durations, f.Protocol, phase.String())
	}
	if f.Protocol == smtpName {
		for verdict, n := range f.Messages {
			s.put("oauthproxy_messages_total", float64(n), verdict.String())
		}
	}
}

// smtpName is the protocol that has messages.
const smtpName = "smtp"

func (s *scrape) durations(name string, d proxy.Durations, labels ...string) {
	upTo := make(map[float64]uint64, len(d.UpTo))
	for duration, n := range d.UpTo {
		upTo[duration.Seconds()] = n
	}
	s.to <- prometheus.MustNewConstHistogram(s.descs[name], d.Count, d.Sum.Seconds(), upTo, labels...)
}

func (s *scrape) account(a AccountFigures) {
	name := a.Token.Account
	for _, state := range tokens.States {
		s.put("oauthproxy_account_state", truth(a.Token.State == state), name, label(string(state)))
	}
	s.put("oauthproxy_account_token_left_seconds", a.Token.Left.Seconds(), name)
	s.put("oauthproxy_account_token_requests_total", float64(a.Token.Obtained), name, "ok")
	s.put("oauthproxy_account_token_requests_total", float64(a.Token.Failed), name, "failed")
	s.put("oauthproxy_account_upstream_connections", float64(a.Crowd.Kept), name, "kept")
	s.put("oauthproxy_account_upstream_connections", float64(a.Crowd.Used), name, "used")
	s.put("oauthproxy_account_waiting_clients", float64(a.Crowd.Waiting), name)
	s.put("oauthproxy_account_waiting_messages", float64(a.Usage.Waiting), name)
	s.put("oauthproxy_account_messages", float64(a.Usage.Messages), name)
	s.put("oauthproxy_account_messages_limit", float64(a.Usage.MessagesPerMinute), name)
	s.put("oauthproxy_account_recipients", float64(a.Usage.Recipients), name)
	s.put("oauthproxy_account_recipients_limit", float64(a.Usage.RecipientsPerDay), name)
}

// label is a name for people as the value of a label: "TLS required" is
// tls_required.
func label(name string) string {
	return strings.ToLower(strings.NewReplacer(" ", "_", "-", "_").Replace(name))
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

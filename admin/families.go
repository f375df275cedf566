package admin

import "github.com/prometheus/client_golang/prometheus"

// family is a kind of metric. docs/metrics.md has them all.
type family struct {
	name   string
	kind   kind
	help   string
	labels []string
}

type kind string

const (
	gauge     kind = "gauge"
	counter   kind = "counter"
	histogram kind = "histogram"
)

func (k kind) value() prometheus.ValueType {
	if k == counter {
		return prometheus.CounterValue
	}
	return prometheus.GaugeValue
}

// families are all metrics but those of the Go runtime and of the process.
// Units stand in the names; counters count since the start.
var families = []family{
	{"oauthproxy_build_info", gauge, "Always 1; the version is a label.", []string{"version"}},
	{"oauthproxy_ready", gauge, "1 if /readyz says yes, else 0.", nil},

	{"oauthproxy_sessions", gauge, "Sessions now, before their login (arriving) and after it (logged_in).", []string{"protocol", "state"}},
	{"oauthproxy_sessions_total", counter, "Sessions that have begun.", []string{"protocol"}},
	{"oauthproxy_legacy_tls_sessions_total", counter, "Sessions whose client has needed what only legacy_tls allows.", []string{"protocol"}},
	{"oauthproxy_logins_total", counter, "Answers to credentials, by their result.", []string{"protocol", "result"}},
	{"oauthproxy_upstream_refusals_total", counter, "What Exchange has refused, by its likely cause.", []string{"protocol", "what", "cause"}},
	{"oauthproxy_relayed_bytes_total", counter, "Bytes relayed; of SMTP those of messages alone.", []string{"protocol", "direction"}},
	{"oauthproxy_phase_duration_seconds", histogram, "How long the parts of a login, or of a message, have taken.", []string{"protocol", "phase"}},
	{"oauthproxy_messages_total", counter, "Messages, by what has become of them.", []string{"verdict"}},

	{"oauthproxy_account_state", gauge, "1 for the state that the account is in, 0 for the others.", []string{"account", "state"}},
	{"oauthproxy_account_token_left_seconds", gauge, "How long the access token is good for; 0 if there is none.", []string{"account"}},
	{"oauthproxy_account_token_requests_total", counter, "Token requests, by their result.", []string{"account", "result"}},
	{"oauthproxy_account_upstream_connections", gauge, "SMTP connections to the mailbox, in use or kept for the next message.", []string{"account", "state"}},
	{"oauthproxy_account_waiting_clients", gauge, "SMTP clients that wait for one of them.", []string{"account"}},
	{"oauthproxy_account_waiting_messages", gauge, "Messages that wait because the mailbox has sent as many as it may.", []string{"account"}},
	{"oauthproxy_account_messages", gauge, "Messages that count against the limit of a minute.", []string{"account"}},
	{"oauthproxy_account_messages_limit", gauge, "That limit, messages_per_minute; 0 is none.", []string{"account"}},
	{"oauthproxy_account_recipients", gauge, "Recipients of the last 24 hours.", []string{"account"}},
	{"oauthproxy_account_recipients_limit", gauge, "Their limit, recipients_per_day; 0 is none.", []string{"account"}},

	{"oauthproxy_certificate_left_seconds", gauge, "How long a certificate is good for; less than 0 if it has ended.", []string{"of", "name"}},
}

package config

import (
	"slices"
	"strings"
)

// keys are what one kind of section may hold.
type keys struct {
	of    string // where such a section stands, for hints
	known []string
}

var (
	topKeys = &keys{
		of: "the outermost level",
		known: []string{"apps", "listeners", "accounts", "upstream", "limits", "admin", "state_directory",
			"store", "http_proxy", "log"},
	}
	appKeys = &keys{
		of: "an app",
		known: []string{"tenant", "client_id", "flow", "authority", "scopes", "client_secret_file",
			"certificate_file", "key_file", "certificate_password_file", "federated_token_file",
			"managed_identity_client_id", "allow_deprecated"},
	}
	listenerKeys = &keys{
		of:    "a listener",
		known: []string{"protocol", "address", "tls", "certificate_file", "key_file", "names", "legacy_tls", "networks"},
	}
	accountKeys = &keys{
		of:    "an account",
		known: []string{"mailbox", "app", "sign_in_as", "logins", "upstream"},
	}
	loginKeys = &keys{
		of:    "a login",
		known: append([]string{"user", "password_hash", "networks", "protocols", "device"}, loginSendingKeys...),
	}
	// loginSendingKeys are those of a login that are about what it sends.
	loginSendingKeys = []string{"sender", "allow_senders", "allow_recipients", "max_message_size",
		"messages_per_minute", "recipients_per_message"}
	upstreamKeys = &keys{
		of:    "upstream",
		known: []string{"cloud", "imap", "pop3", "smtp", "ca_file"},
	}
	accountUpstreamKeys = &keys{
		of:    "an account's upstream",
		known: []string{"imap", "pop3", "smtp"},
	}
	hostKeys = &keys{
		of:    "upstream.imap, .pop3 and .smtp",
		known: []string{"address", "tls"},
	}
	limitKeys = &keys{
		of:    "limits",
		known: []string{"sessions", "sessions_per_address", "sessions_per_login", "messages_per_minute", "recipients_per_day"},
	}
	adminKeys = &keys{
		of:    "admin",
		known: []string{"address"},
	}
	storeKeys = &keys{
		of:    "store",
		known: []string{"key_file"},
	}
	logKeys = &keys{
		of:    "log",
		known: []string{"level", "format"},
	}
)

// schema is all of it.
var schema = []*keys{topKeys, appKeys, listenerKeys, accountKeys, loginKeys, upstreamKeys,
	accountUpstreamKeys, hostKeys, limitKeys, adminKeys, storeKeys, logKeys}

// homes tells where a key belongs, for somebody who wrote it into a section
// that doesn't know it; "" when it belongs nowhere.
func homes(key string) string {
	var places []string
	for _, k := range schema {
		if slices.Contains(k.known, key) {
			places = append(places, k.of)
		}
	}
	return strings.Join(places, " or ")
}

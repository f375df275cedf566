package proxy

import "time"

// timings are what the steps of a login took, for the log. Those of the
// upstream are zero where the session had no need to open a connection.
type timings struct {
	verify, token, connect, login time.Duration
	age                           time.Duration // of the token; zero: not known
	isOpened                      bool
}

// opened notes what an upstream connection took that has been accepted. Token
// and connect go on side by side.
func (t *timings) opened(token Token, waited, connect, login time.Duration) {
	t.token, t.connect, t.login, t.isOpened = waited, connect, login, true
	if t.age = 0; !token.Obtained.IsZero() {
		t.age = time.Since(token.Obtained)
	}
}

// loginAttributes are those of the line about a login.
func (s *Session) loginAttributes() []any {
	attrs := []any{"login", s.login, "account", s.Account, "mailbox", s.route.User, "listener", s.Listener.Address,
		"tls", tlsName(s.tls), "verify_ms", s.took.verify.Milliseconds()}
	if t := s.took; t.isOpened {
		attrs = append(attrs, "token_ms", t.token.Milliseconds(), "connect_ms", t.connect.Milliseconds(),
			"login_ms", t.login.Milliseconds())
		if t.age > 0 {
			attrs = append(attrs, "token_age_s", int64(t.age.Seconds()))
		}
	}
	return attrs
}

func tlsName(version string) string {
	if version == "" {
		return "none"
	}
	return version
}

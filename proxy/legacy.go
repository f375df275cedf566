package proxy

import (
	"crypto/tls"
	"net/netip"
	"slices"
	"time"
)

// maxLegacyClients bounds the addresses that are remembered.
const maxLegacyClients = 1000

// LegacyClient is an address whose clients need what only a listener with
// legacy TLS offers.
type LegacyClient struct {
	Address netip.Addr
	// Version and Suite are those of its last session, by their names.
	Version, Suite string
	Sessions       int // since the server's start
	Last           time.Time
}

// LegacyClients returns the addresses that have needed legacy TLS since the
// start, the latest first; of more than 1,000 the oldest are forgotten.
func (s *Server) LegacyClients() []LegacyClient { return s.legacy.all() }

// noteTLS notes the version of TLS, and counts and logs a session that could not
// have begun on another listener.
func (s *Session) noteTLS() {
	state, _ := s.Client.TLS()
	version, suite := tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite)
	s.mu.Lock()
	s.tls = version
	s.mu.Unlock()
	if !isLegacy(state) {
		return
	}
	s.tally.legacy.Add(1)
	s.server.legacy.write(s.address, func(c *LegacyClient) {
		*c = LegacyClient{s.address, version, suite, c.Sessions + 1, time.Now()}
	})
	s.Log.Info("legacy TLS", "listener", s.Listener.Address, "tls", version, "tls_suite", suite)
}

// isLegacy tells whether a connection has what crypto/tls offers to nobody who
// doesn't ask for it.
func isLegacy(state tls.ConnectionState) bool {
	isIt := func(suite *tls.CipherSuite) bool { return suite.ID == state.CipherSuite }
	return state.Version < tls.VersionTLS12 || slices.ContainsFunc(tls.InsecureCipherSuites(), isIt)
}

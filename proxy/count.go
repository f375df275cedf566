package proxy

// Count tells how many sessions are logged in, and how many connections aren't
// yet.
func (s *Server) Count() (loggedIn, arriving int) {
	c := &s.census
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.loggedIn, len(c.present) - c.loggedIn
}

package sandbox

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

// maxForm bounds the body of a request, in bytes.
const maxForm = 64 << 10

// serveHTTP answers requests on listener until the sandbox closes, with TLS or
// without.
func (s *Sandbox) serveHTTP(listener net.Listener, withTLS bool, handler http.Handler) {
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, maxForm)
			handler.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: handshakeTimeout,
		ReadTimeout:       time.Minute,
		IdleTimeout:       readTimeout,
		// Clients that do not trust the root would fill the log.
		ErrorLog: log.New(io.Discard, "", 0),
		// HTTP/1.1 alone: a fault has to take the connection over.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	if withTLS {
		listener = tls.NewListener(listener, s.tls)
	}
	s.running.Go(func() { server.Serve(listener) })
	s.running.Go(func() {
		<-s.ctx.Done()
		server.Close()
	})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(value)
}

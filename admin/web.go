package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// webRequest is for a request to arrive, webAnswer for what it asks for
	// to be found out, and webIdle for a connection between two requests.
	webRequest = 5 * time.Second
	webAnswer  = 10 * time.Second
	webIdle    = 30 * time.Second
	// webFarewell is for answers under way when the server closes.
	webFarewell = 2 * time.Second
	// maxWebHeader bounds a request, in bytes.
	maxWebHeader = 8 << 10
	// maxWebConns bounds the connections at one time, and maxScrapes how many
	// of their requests gather metrics.
	maxWebConns = 64
	maxScrapes  = 4
)

// Health tells how a service stands.
type Health struct {
	IsReady   bool             `json:"ready"`
	Listeners []ListenerHealth `json:"listeners"`
	Accounts  AccountsHealth   `json:"accounts"`
	// Problems say in plain words what is wrong, and what to do.
	Problems []string `json:"problems,omitempty"`
}

// ListenerHealth tells whether a port takes clients.
type ListenerHealth struct {
	Protocol string `json:"protocol"`
	Address  string `json:"address"`
	IsOpen   bool   `json:"open"`
}

// AccountsHealth tells for how many of all accounts a session may have a token.
type AccountsHealth struct {
	Usable int `json:"usable"`
	All    int `json:"all"`
}

// Probes are what can be asked over HTTP.
type Probes struct {
	// Live tells what is wrong if the process can't go on by itself.
	Live func() error
	// Ready tells whether clients are served.
	Ready   func() Health
	Metrics *prometheus.Registry
}

// Web answers over HTTP: /livez, /readyz and /metrics.
type Web struct {
	listener net.Listener
	server   *http.Server
	conns    atomic.Int64
}

// ListenWeb opens the port. Close must be called in the end.
func ListenWeb(address string, p Probes, log *slog.Logger) (*Web, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("can't listen for metrics and health (admin.address): %w", err)
	}
	w := &Web{listener: listener}
	// One wrong figure is told, and doesn't cost the others.
	metrics := promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError),
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: maxScrapes}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", p.livez)
	mux.HandleFunc("GET /readyz", p.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.Metrics, metrics))
	w.server = &http.Server{
		Handler:        http.TimeoutHandler(mux, webAnswer, "the service doesn't find the answer\n"),
		ReadTimeout:    webRequest,
		WriteTimeout:   webRequest + webAnswer,
		IdleTimeout:    webIdle,
		MaxHeaderBytes: maxWebHeader,
		ConnState:      w.count,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return w, nil
}

// count closes a connection that is one too many.
func (w *Web) count(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if w.conns.Add(1) > maxWebConns {
			_ = c.Close()
		}
	case http.StateClosed:
		w.conns.Add(-1)
	}
}

// Addr is the port's.
func (w *Web) Addr() net.Addr { return w.listener.Addr() }

// Serve answers until the server is closed.
func (w *Web) Serve() { _ = w.server.Serve(w.listener) }

// Close closes the port; answers under way have a moment.
func (w *Web) Close() {
	_ = w.listener.Close() // which Shutdown knows of only once it is served
	ctx, cancel := context.WithTimeout(context.Background(), webFarewell)
	defer cancel()
	if err := w.server.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
		_ = w.server.Close()
	}
}

func (p Probes) livez(w http.ResponseWriter, _ *http.Request) {
	live := struct {
		IsLive  bool   `json:"live"`
		Problem string `json:"problem,omitempty"`
	}{IsLive: true}
	if err := p.Live(); err != nil {
		live.IsLive, live.Problem = false, err.Error()
	}
	report(w, live.IsLive, live)
}

func (p Probes) readyz(w http.ResponseWriter, _ *http.Request) {
	health := p.Ready()
	report(w, health.IsReady, health)
}

// report gives the details, with 200 for a yes and 503 for a no.
func report(w http.ResponseWriter, yes bool, details any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !yes {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(details) // whoever has gone doesn't want it any more
}

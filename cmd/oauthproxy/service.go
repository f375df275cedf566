package main

import (
	"context"
	"crypto/x509"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"oauthproxy/accounts"
	"oauthproxy/admin"
	"oauthproxy/config"
	"oauthproxy/doctor"
	"oauthproxy/proxy"
)

// grace is how long sessions may go on after the order to stop: a message on
// its way gets its verdict. Sessions of other kinds end at their next pause.
const grace = 30 * time.Second

// service is the proxy, made of a configuration.
type service struct {
	log        *slog.Logger
	level      *slog.LevelVar // of the log
	signIns    *signIns
	control    *admin.Server
	server     *proxy.Server
	recipients *ledgerKeeper
	web        *admin.Web // metrics and health; nil: nobody wants them
	started    time.Time
	sockets    []*socket      // systemd's
	manager    *manager       // systemd; nil: none
	accepting  sync.WaitGroup // the ports
	serving    sync.WaitGroup // the control socket and what else goes on

	reloading sync.Mutex  // one reload at a time
	stopping  atomic.Bool // and none any more

	mu        sync.Mutex // over what a reload replaces
	config    *config.Config
	loaded    time.Time
	directory *accounts.Directory
	roots     *x509.CertPool
	ports     []*port // in the order of the configuration
	isServing bool
}

// newService builds the proxy and opens its ports, but for those that systemd
// has opened; nothing is served yet. All ports that can't be opened are named
// at once.
func newService(c *config.Config, log *slog.Logger, level *slog.LevelVar, sockets ...*socket) (*service, error) {
	directory, err := accounts.New(localLogins(c))
	if err != nil {
		return nil, err
	}
	roots, err := trusted(c.Upstream.CAFile)
	if err != nil {
		return nil, err
	}
	signIns, err := openSignIns(c, roots, log)
	if err != nil {
		return nil, err
	}
	s := &service{log: log, level: level, signIns: signIns, recipients: openLedger(c, log),
		config: c, loaded: time.Now(), started: time.Now(), directory: directory, roots: roots, sockets: sockets}
	s.server = proxy.NewServer(proxy.Options{
		Settings: settings(c, directory, roots),
		Tokens:   tokenSource{signIns.broker},
		HostName: hostName(),
		Explain:  s.explain,
		Log:      log,
	})
	signIns.refusals = s.server.Refusals
	if s.ports, err = s.openPorts(c, nil); err != nil {
		s.stop()
		return nil, err
	}
	if err = s.openWeb(c); err != nil {
		s.stop()
		return nil, err
	}
	s.control, err = listenForCommands(c.StateDirectory, &controlled{s.signIns, s}, log)
	if err != nil && len(signIns.persons) > 0 {
		s.stop()
		return nil, err
	}
	if err != nil {
		// Mail needs no socket, and where nobody has to sign in there is
		// nothing that only this process could do.
		log.Warn("no control socket: accounts, login and other commands can't ask this process", "cause", err)
	}
	return s, nil
}

// serve serves until ctx ends, and then stops. What arrives on hurry then ends
// the sessions at once.
func (s *service) serve(ctx context.Context, hurry <-chan struct{}) {
	s.mu.Lock()
	s.isServing = true
	for _, p := range s.ports {
		s.servePort(p)
	}
	s.mu.Unlock()
	if s.control != nil {
		s.serving.Go(s.control.Serve)
	}
	if s.web != nil {
		s.serving.Go(s.web.Serve)
	}
	s.serving.Go(func() { s.recipients.run(ctx) })
	s.manager.ready(s.standing())
	attended, leave := context.WithCancel(context.Background())
	s.serving.Go(func() { s.manager.attend(attended, s.live, s.standing) })
	<-ctx.Done()
	s.log.Info("stopping", "grace_ms", grace.Milliseconds())
	s.drain(hurry)
	leave()
	s.serving.Wait()
}

// stop closes the ports and ends everything that has been started.
func (s *service) stop() { s.drain(nil) }

func (s *service) drain(hurry <-chan struct{}) {
	s.reloading.Lock()
	s.stopping.Store(true) // no port is opened any more
	s.manager.stopping(grace, s.standing())
	s.reloading.Unlock()
	for _, p := range s.openPortsNow() {
		_ = p.Close()
	}
	s.accepting.Wait() // who has just come in hears why that ends, too
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	go func() {
		select {
		case <-hurry:
			s.log.Warn("told to stop a second time: sessions end at once")
			cancel()
		case <-ctx.Done():
		}
	}()
	s.server.Shutdown(ctx)
	s.recipients.save()
	s.signIns.Close() // people who are signing in hear why that ends
	if s.control != nil {
		s.control.Close()
	}
	if s.web != nil {
		s.web.Close()
	}
}

// address returns the address of the port that speaks the protocol.
func (s *service) address(protocol string) string {
	for _, p := range s.openPortsNow() {
		if p.shared.About().Protocol.Name() == protocol {
			return p.Addr().String()
		}
	}
	return ""
}

// controlled is the service as the control socket offers it.
type controlled struct {
	*signIns
	service *service
}

// Check implements [admin.Service].
func (c *controlled) Check(ctx context.Context, e admin.Examination, o doctor.Observer) error {
	s := c.service
	s.mu.Lock()
	x := &examiner{signIns: s.signIns, config: s.config, roots: s.roots, loaded: s.loaded, open: s.openPortsNow}
	s.mu.Unlock()
	return x.Check(ctx, e, o)
}

// Reload implements [admin.Running].
func (c *controlled) Reload(context.Context) (admin.Reloaded, error) { return c.service.reload() }

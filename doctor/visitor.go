package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
)

// maxNetworks bounds towards how many of a listener's networks an address of
// this machine is looked for.
const maxNetworks = 50

// ownGreetings are how this program greets; the group is its host name.
var ownGreetings = map[string]*regexp.Regexp{
	"smtp": regexp.MustCompile(`^220 (\S+) ESMTP ready$`),
	"imap": regexp.MustCompile(`^\* OK \[CAPABILITY [^\]]+\] (\S+) ready$`),
	"pop3": regexp.MustCompile(`^\+OK (\S+) ready$`),
}

// farewells are the last commands.
var farewells = map[string]string{"smtp": "QUIT", "imap": "LOGOUT", "pop3": "QUIT"}

var (
	errForeign = errors.New("another program answers")
	errTLS     = errors.New("TLS fails")
)

// visitor is a client of one of our own ports.
type visitor struct {
	*dialogue
	from     netip.Addr // where it comes from, as the port sees it
	greeting string     // the first line
	hostName string     // what the greeting calls the port's host
	forget   func() bool
}

// visit connects to a port of the protocol. ctx bounds the whole visit.
func visit(ctx context.Context, protocol, address string) (*visitor, error) {
	conn, err := (&net.Dialer{Timeout: answerTimeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	v := &visitor{dialogue: newDialogue(conn, protocol, "")}
	v.ReadTimeout, v.WriteTimeout = answerTimeout, answerTimeout
	if limit, ok := ctx.Deadline(); ok {
		v.SetLimit(limit)
	}
	v.forget = context.AfterFunc(ctx, v.Abort)
	if from, ok := conn.LocalAddr().(*net.TCPAddr); ok {
		v.from = from.AddrPort().Addr().Unmap()
	}
	return v, nil
}

// leave ends the visit.
func (v *visitor) leave() {
	_ = v.Close()
	v.forget()
}

// startTLS begins TLS. The certificate isn't verified here: it may be for names
// that clients know and this machine doesn't, and is looked at by the caller.
func (v *visitor) startTLS() error {
	if err := v.ConnectTLS(&tls.Config{InsecureSkipVerify: true}, answerTimeout); err != nil {
		return fmt.Errorf("%w: %w", errTLS, err)
	}
	return nil
}

// recognize reads the greeting, which gives errForeign if it isn't ours.
func (v *visitor) recognize() error {
	line, err := v.ReadLine(maxLine)
	if err != nil {
		return err
	}
	v.greeting = string(line)
	match := ownGreetings[v.protocol].FindStringSubmatch(v.greeting)
	if match == nil {
		return errForeign
	}
	v.hostName = match[1]
	return nil
}

// begin brings the visit to where a login could follow. TLS is implicit, begins
// by STARTTLS or STLS, or isn't used.
func (v *visitor) begin(mode string) error {
	if mode == "implicit" {
		if err := v.startTLS(); err != nil {
			return err
		}
	}
	if err := v.recognize(); err != nil || mode != "starttls" {
		return err
	}
	if v.protocol == "smtp" {
		if _, err := v.hello(); err != nil {
			return err
		}
	}
	if err := v.agreeOnTLS(); err != nil {
		return fmt.Errorf("%w: %w", errTLS, err)
	}
	return v.startTLS()
}

// targets returns the addresses at which a listener can be reached from this
// machine: where it listens on all of them, by loopback and by one other.
func (l Listener) targets() []string {
	host, port, err := net.SplitHostPort(l.Address)
	if err != nil {
		return []string{l.Address}
	}
	ip, err := netip.ParseAddr(host)
	if host != "" && (err != nil || !ip.IsUnspecified()) {
		return []string{l.Address}
	}
	targets := []string{net.JoinHostPort("127.0.0.1", port)}
	if own, ok := l.ownAddress(); ok && (own.Is4() || !ip.Is4()) {
		targets = append(targets, net.JoinHostPort(own.String(), port))
	}
	return targets
}

// ownAddress returns an address of this machine other than loopback: if the
// listener has networks, one from which it lets clients in.
func (l Listener) ownAddress() (own netip.Addr, ok bool) {
	somewhere := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} // RFC 5737: behind the default route
	if len(l.Networks) > 0 {
		somewhere = l.Networks[:min(len(l.Networks), maxNetworks)]
	}
	for _, network := range somewhere {
		if own, ok := addressTowards(network); ok && own.IsGlobalUnicast() && l.admits(own) {
			return own, true
		}
	}
	return netip.Addr{}, false
}

// addressTowards returns this machine's address on the way to a network. To
// connect a UDP socket sends nothing, and asks for no right that the service
// lacks, as listing the interfaces does.
func addressTowards(network netip.Prefix) (own netip.Addr, ok bool) {
	other := network.Addr()
	if !network.IsSingleIP() {
		other = network.Masked().Addr().Next()
	}
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(other, 9)))
	if err != nil {
		return netip.Addr{}, false
	}
	defer conn.Close()
	local, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok {
		return netip.Addr{}, false
	}
	return local.AddrPort().Addr().Unmap(), true
}

// admits tells whether a client with that address may connect.
func (l Listener) admits(client netip.Addr) bool {
	return len(l.Networks) == 0 || within(l.Networks, client)
}

func within(networks []netip.Prefix, address netip.Addr) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(address) })
}

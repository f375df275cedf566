package accounts

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"
)

// Directory knows all logins. It may be used by many sessions at once.
type Directory struct {
	users     map[string]*login // by FoldUser(user)
	byAddress []*login

	// decoy is hashed for an unknown user: the costliest hash in use.
	decoy hash
	// matches is hash.matches; tests count its calls.
	matches    func(h hash, password string) bool
	slots      *slots
	remembered *memory
}

// login is a Login, checked.
type login struct {
	account   string
	user      string
	hash      hash
	hashText  string
	networks  []netip.Prefix
	protocols []string
	device    bool
	sending   *Sending
}

// New checks the accounts and returns their Directory. The error names every
// login that is wrong or claimed twice.
func New(accounts []Account) (*Directory, error) {
	d := &Directory{
		users:      map[string]*login{},
		matches:    hash.matches,
		slots:      newSlots(),
		remembered: newMemory(),
	}
	var problems []error
	for _, account := range accounts {
		for _, l := range account.Logins {
			if err := d.add(account.Mailbox, l); err != nil {
				problems = append(problems, fmt.Errorf("account %s: %w", account.Mailbox, err))
			}
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	d.decoy = d.costliest()
	return d, nil
}

// Succeed takes over what the directory before has learnt: which passwords were
// found right, and who is being verified. What is remembered names the hash as
// well, so that a changed password is a new one.
func (d *Directory) Succeed(before *Directory) {
	d.slots, d.remembered = before.slots, before.remembered
}

// costliest returns the hash that takes longest to check, or one as Hash makes
// it where there is none yet.
func (d *Directory) costliest() hash {
	var costliest hash
	for _, l := range d.users {
		if costliest == nil || l.hash.cost() > costliest.cost() {
			costliest = l.hash
		}
	}
	if costliest == nil {
		return newArgon2id("")
	}
	return costliest
}

func (d *Directory) add(mailbox string, l Login) error {
	added := &login{account: mailbox, user: l.User, hashText: l.PasswordHash, protocols: slices.Clone(l.Protocols), device: l.Device, sending: l.Sending}
	for _, network := range l.Networks {
		if !network.IsValid() {
			return fmt.Errorf("login %q: one of its networks is no network", l.User)
		}
		added.networks = append(added.networks, plainNetwork(network))
	}
	if l.User == "" {
		return d.addByAddress(added)
	}
	h, err := parseHash(l.PasswordHash)
	if err != nil {
		return fmt.Errorf("login %q: the password hash is unusable: %w", l.User, err)
	}
	added.hash = h
	user := FoldUser(l.User)
	if other := d.users[user]; other != nil {
		return fmt.Errorf("login %q: the user is claimed already, by account %s (case doesn't matter)", l.User, other.account)
	}
	d.users[user] = added
	return nil
}

func (d *Directory) addByAddress(added *login) error {
	if added.hashText != "" {
		return errors.New("a login without a user has a password hash")
	}
	if len(added.networks) == 0 {
		return errors.New("a login without a user needs networks")
	}
	for _, other := range d.byAddress {
		if other.account != added.account && other.overlaps(added) {
			return fmt.Errorf("a login without a user claims addresses that account %s claims already", other.account)
		}
	}
	d.byAddress = append(d.byAddress, added)
	return nil
}

func (l *login) overlaps(other *login) bool {
	common := func(protocol string) bool { return other.allowsProtocol(protocol) }
	if len(l.protocols) > 0 && len(other.protocols) > 0 && !slices.ContainsFunc(l.protocols, common) {
		return false
	}
	return slices.ContainsFunc(l.networks, func(network netip.Prefix) bool {
		return slices.ContainsFunc(other.networks, network.Overlaps)
	})
}

func (l *login) allowsProtocol(protocol string) bool {
	return len(l.protocols) == 0 || slices.Contains(l.protocols, protocol)
}

// network returns which of the login's networks the address is in.
func (l *login) network(addr netip.Addr) (netip.Prefix, bool) {
	i := slices.IndexFunc(l.networks, func(n netip.Prefix) bool { return n.Contains(addr) })
	if i < 0 {
		return netip.Prefix{}, false
	}
	return l.networks[i], true
}

// FoldUser maps user names that differ only in case to one, by Unicode's
// simple case folding: the smallest of the characters that fold together
// stands for all. Bytes that aren't UTF-8 are read as Latin-1.
func FoldUser(user string) string {
	return strings.Map(func(r rune) rune {
		smallest := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			smallest = min(smallest, next)
		}
		return smallest
	}, toUTF8(user))
}

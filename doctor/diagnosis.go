package doctor

import (
	"cmp"
	"net"
	"regexp"
	"strings"
	"time"

	"oauthproxy/internal/remedy"
)

// Diagnose finds the likely cause of a login that a protocol's mail server has
// refused: from its words, where they name a cause; else from what the token
// says of itself and from how the account's other protocols fare. replies are
// the words of each protocol that has been tried; "" is a yes. The facts fill
// the remedy's placeholders. A reply that no cause can be seen behind gives the
// zero Remedy.
func Diagnose(a Account, protocol string, c Claims, replies map[string]string) (remedy.Remedy, map[string]string) {
	k := &caseOf{account: a, protocol: protocol, claims: c, replies: replies}
	r := k.byWords()
	if !k.isGeneral(r) {
		return r, k.facts()
	}
	if id := cmp.Or(k.byToken(), k.byOthers()); id != "" {
		r = remedy.Named(id)
	}
	return r, k.facts()
}

// clockSkew is by how much two clocks may differ without harm.
const clockSkew = 5 * time.Minute

// speaksGenerally are the remedies of replies that name no cause.
var speaksGenerally = map[string]bool{
	"login-refused": true, "not-connected": true, "not-logged-in": true, "smtp-credentials-incorrect": true,
}

// caseOf is a refused login and what is known about it.
type caseOf struct {
	account  Account
	protocol string
	claims   Claims
	replies  map[string]string
}

// facts fill the placeholders of remedies.
func (k *caseOf) facts() map[string]string {
	facts := k.account.facts()
	facts["protocol"], facts["scope"], facts["role"] = told[k.protocol], scopes[k.protocol], roles[k.protocol]
	facts["permissions"] = facts["role"]
	if k.isPersons() {
		facts["permissions"] = facts["scope"]
	}
	facts["sender"] = k.account.sender()
	if !k.isPersons() && isGUID(k.claims.ObjectID) {
		facts["object_id"] = k.claims.ObjectID
	}
	facts["user"], facts["audience"] = k.claims.User, k.claims.Audience
	facts["issuer"] = cmp.Or(k.claims.Tenant, k.claims.Issuer)
	for _, h := range k.account.Hosts {
		if h.Protocol == k.protocol {
			facts["address"], facts["host"] = h.Address, h.name()
		}
	}
	return facts
}

// name is the host's name.
func (h Host) name() string {
	name, _, err := net.SplitHostPort(h.Address)
	if err != nil {
		return h.Address
	}
	return name
}

// isPersons tells whether a person signs in; else the application acts by
// itself.
func (k *caseOf) isPersons() bool { return k.account.Person != "" || k.claims.IsDelegated() }

// isShared tells whether a person opens a mailbox that isn't their own.
func (k *caseOf) isShared() bool {
	return k.account.Person != "" && !strings.EqualFold(k.account.Person, k.account.Mailbox)
}

// byWords returns what is known about a reply. Exchange repeats behind "Error:"
// why an earlier login failed.
func (k *caseOf) byWords() remedy.Remedy {
	words := k.replies[k.protocol]
	if _, why, found := strings.Cut(words, "Error: "); found {
		if r, found := remedy.ByReply(k.protocol, why); found {
			return r
		}
	}
	r, _ := remedy.ByReply(k.protocol, words)
	return r
}

// isGeneral tells whether a reply, and its remedy if there is one, name no
// cause: then the token may. Over SMTP a login is refused with 535.
func (k *caseOf) isGeneral(r remedy.Remedy) bool {
	words := k.replies[k.protocol]
	if r.ID != "" {
		return speaksGenerally[r.ID]
	}
	return !passes(words) && loginNo.MatchString(words) && !strings.Contains(words, "BYE ")
}

// loginNo is a no that may be one to a login.
var loginNo = regexp.MustCompile(`(^|\s)(535|NO|BAD|-ERR)\b`)

// passing is a reply to which trying again is the right answer: of SMTP 4yz,
// of the others a response code (RFC 5530, 3206).
var passing = regexp.MustCompile(`(?i)(^|: )4\d\d\b|\[(SYS/TEMP|IN-USE|LOGIN-DELAY|UNAVAILABLE|THROTTLED|LIMIT)\]`)

func passes(words string) bool { return passing.MatchString(words) }

// byToken compares the token with what the login needs, and names the first
// thing that doesn't fit.
func (k *caseOf) byToken() string {
	c, now := k.claims, time.Now()
	switch {
	case !c.IsKnown:
		return ""
	case !c.Expires.IsZero() && !now.Before(c.Expires):
		return "token-expired"
	case now.Add(clockSkew).Before(c.NotBefore):
		return "token-not-yet-valid"
	case !c.isForExchange():
		return "wrong-audience"
	case isGUID(k.account.Tenant) && c.Tenant != "" && !strings.EqualFold(c.Tenant, k.account.Tenant):
		return "wrong-tenant"
	case c.permits(k.protocol):
	case k.isPersons():
		return "scope-missing"
	default:
		return "role-missing"
	}
	if person := cmp.Or(k.account.Person, k.account.Mailbox); c.User != "" && !strings.EqualFold(c.User, person) {
		return "wrong-user"
	}
	return ""
}

var guid = regexp.MustCompile(`^(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

func isGUID(text string) bool { return guid.MatchString(text) }

// byOthers is for a token in which nothing is wrong, or that can't be looked
// into: how the other protocols fare tells the switches of a mailbox from the
// right to it.
func (k *caseOf) byOthers() string {
	switch k.protocol {
	case "imap":
		return k.ofIMAP()
	case "pop3":
		return k.ofPOP3()
	}
	return k.ofSMTP()
}

func (k *caseOf) ofIMAP() string {
	switch {
	case k.works("pop3"): // so there is a right to the mailbox
		return "imap-off"
	case k.noRight() != "":
		return k.noRight()
	case k.works("smtp"):
		return "imap-off"
	case k.isNotConnected():
		return "" // its own words list the causes
	}
	return k.noMailbox()
}

func (k *caseOf) ofPOP3() string {
	switch {
	case k.works("imap"):
		return "pop-off"
	case k.noRight() != "":
		return k.noRight()
	case k.works("smtp"), k.isNotConnected(), len(k.replies) == 1 && k.claims.IsKnown:
		return "pop-off"
	}
	return k.noMailbox()
}

func (k *caseOf) ofSMTP() string {
	switch {
	case k.works("imap"), k.works("pop3"):
		if !k.claims.IsKnown && k.isPersons() {
			return "scope-missing" // most likely: all else is right
		}
		return ""
	case k.isShared(): // SMTP is for the person alone, whosever mailbox it is
		return ""
	case k.noRight() != "":
		return k.noRight()
	}
	return k.noMailbox()
}

// works tells whether a protocol's login has been accepted.
func (k *caseOf) works(protocol string) bool {
	words, tried := k.replies[protocol]
	return tried && words == ""
}

// isNotConnected tells whether Exchange takes the token over IMAP and doesn't
// open the mailbox.
func (k *caseOf) isNotConnected() bool {
	r, _ := remedy.ByReply("imap", k.replies["imap"])
	return r.ID == "not-connected"
}

// noRight names the missing right of one who isn't the mailbox's owner.
func (k *caseOf) noRight() string {
	switch {
	case k.isShared():
		return "no-right-delegated"
	case k.isPersons():
		return ""
	case k.works("smtp"), k.isNotConnected():
		return "app-without-access"
	case k.isRefusedOverSMTP():
		return "app-not-in-exchange"
	}
	return "no-right-app"
}

// isRefusedOverSMTP tells whether Exchange refuses a token over SMTP that has
// what it needs: an application without FullAccess would be let in there.
func (k *caseOf) isRefusedOverSMTP() bool {
	over := &caseOf{account: k.account, protocol: "smtp", claims: k.claims, replies: k.replies}
	_, tried := k.replies["smtp"]
	return tried && k.claims.permits("smtp") && over.isGeneral(over.byWords())
}

// noMailbox is left over when a person's own token fits and opens nothing.
func (k *caseOf) noMailbox() string {
	if k.claims.IsKnown {
		return "mailbox-unknown"
	}
	return ""
}

package doctor

import "oauthproxy/internal/remedy"

// knownApps are the applications that Exchange has let into a mailbox of the
// accounts told so far, by their names in the configuration. Their service
// principals are right.
type knownApps map[string]bool

// narrowed are the causes that are left for a known application.
var narrowed = map[string]string{
	"app-not-in-exchange": "mailbox-unknown",
	"no-right-app":        "app-without-access",
}

// consider learns from a finding of a login, or narrows its cause down; nil is
// none.
func (known knownApps) consider(p *patient, f *Finding) {
	if f == nil || told[f.Probe] == "" {
		return
	}
	k := &caseOf{account: p.Account, protocol: f.Probe, claims: p.claims}
	id, isNarrowed := narrowed[f.Cause]
	switch {
	case k.isPersons():
	case f.Status == OK, f.Status == Note:
		known[p.App] = true
	case isNarrowed && known[p.App]:
		r := remedy.Named(id)
		if len(f.PowerShell) == 0 { // they stand below another protocol
			r.Do, r.Fix, r.PowerShell = f.Do, nil, nil
		}
		n := wrong(f.Status, f.Seen, r, k.facts())
		n.Probe, n.Subject, n.Account, n.Took = f.Probe, f.Subject, f.Account, f.Took
		*f = n
	}
}

package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"oauthproxy/internal/remedy"
)

// endsSoon is how long ahead of its end a certificate is worth a warning. Those
// that the program issues are renewed 30 days before: one with less than three
// weeks left hasn't been.
const endsSoon = 21 * 24 * time.Hour

// certificates looks at our own certificates.
func (e *examination) certificates(ctx context.Context) {
	for _, c := range e.Certificates {
		if ctx.Err() != nil {
			return
		}
		found := e.probe("certificate", c.What, "")
		chain, err := c.Load()
		if err == nil && len(chain) == 0 {
			err = errors.New("there is no certificate in it")
		}
		if err != nil {
			found(wrong(Broken, "can't be used: "+clean(err.Error()), remedy.Named("certificate-unusable"), map[string]string{"what": c.What}))
			continue
		}
		found(c.judge(chain[0], time.Now()))
	}
}

// judge tells whether the certificate is valid, and how long it will be.
func (c Certificate) judge(leaf *x509.Certificate, now time.Time) Finding {
	var kind remedy.Case
	if c.ClientID != "" {
		kind = remedy.App
	}
	facts := map[string]string{
		"client_id": c.ClientID,
		"what":      c.What, "since": leaf.NotBefore.UTC().Format(time.DateTime) + " UTC", "until": leaf.NotAfter.UTC().Format(time.DateOnly),
	}
	left := leaf.NotAfter.Sub(now)
	switch {
	case left < 0:
		return wrong(Broken, "ended "+daysAndDate(-left, leaf.NotAfter, "ago"), remedy.Named("certificate-ended").For(kind), facts)
	case now.Before(leaf.NotBefore):
		return wrong(Broken, "isn't valid before "+leaf.NotBefore.UTC().Format(time.DateTime)+" UTC", remedy.Named("certificate-early"), facts)
	case left < endsSoon:
		return wrong(Warning, "ends in "+daysAndDate(left, leaf.NotAfter, ""), remedy.Named("certificate-ends").For(kind), facts)
	}
	return well(certificateFor(leaf) + "ends in " + daysAndDate(left, leaf.NotAfter, ""))
}

// daysAndDate says how far away a day is, and which it is.
func daysAndDate(d time.Duration, date time.Time, ago string) string {
	const day = 24 * time.Hour
	count := fmt.Sprintf("%d days", int(d/day))
	switch {
	case d < day:
		count = "less than a day"
	case d < 2*day:
		count = "1 day"
	}
	return strings.TrimSpace(count+" "+ago) + ", on " + date.UTC().Format(time.DateOnly)
}

// certificateFor names those whom a certificate is for: "for a.example; ".
func certificateFor(leaf *x509.Certificate) string {
	names := certificateNames(leaf)
	if len(names) == 0 {
		return ""
	}
	return "for " + strings.Join(names, ", ") + "; "
}

// certificateNames returns the names by which clients may reach the
// certificate's server: a few of them, if they are many.
func certificateNames(leaf *x509.Certificate) []string {
	names := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	const most = 5
	if len(names) > most {
		names = append(names[:most], fmt.Sprintf("and %d more", len(names)-most))
	}
	for i, name := range names {
		names[i] = clean(name)
	}
	return names
}

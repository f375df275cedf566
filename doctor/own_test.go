package doctor_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"oauthproxy/doctor"
)

// ownFindings keeps the findings of the probes of our own side.
type ownFindings []doctor.Finding

func (f *ownFindings) Begin(probe, subject string) {}

func (f *ownFindings) Found(found doctor.Finding) {
	if slices.Contains([]string{"files", "certificate", "listener", "open relay"}, found.Probe) {
		*f = append(*f, found)
	}
}

// examine returns what the probes of our own side find.
func examine(t *testing.T, p doctor.Plan) ownFindings {
	t.Helper()
	var found ownFindings
	if _, err := doctor.Run(t.Context(), p, &found); err != nil {
		t.Fatal(err)
	}
	return found
}

// want is what a finding should be; seen and fix are pieces.
type want struct {
	status           doctor.Status
	cause, seen, fix string
}

func (w want) check(t *testing.T, f doctor.Finding) {
	t.Helper()
	if f.Status != w.status || f.Cause != w.cause || !strings.Contains(f.Seen, w.seen) || !strings.Contains(strings.Join(f.Fix, "\n"), w.fix) {
		t.Errorf("found %+v\nwant  %+v", f, w)
	}
	if w.cause != "" && (f.Means == "" || f.Do == "" || f.Who != "you") {
		t.Errorf("%s doesn't say what to do: %+v", w.cause, f)
	}
}

// only returns the one finding of a probe.
func (f ownFindings) only(t *testing.T, probe string) doctor.Finding {
	t.Helper()
	var all ownFindings
	for _, found := range f {
		if found.Probe == probe {
			all = append(all, found)
		}
	}
	if len(all) != 1 {
		t.Fatalf("%d findings of %q: %+v", len(all), probe, f)
	}
	return all[0]
}

// certificate makes one that is valid between two times from now.
func certificate(t *testing.T, from, to time.Duration, names ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "proxy"}, DNSNames: names,
		NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(to),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

const days = 24 * time.Hour

func TestCertificates(t *testing.T) {
	for name, c := range map[string]struct {
		from, to time.Duration
		want     want
	}{
		"good":           {-days, 80*days + time.Hour, want{status: doctor.OK, seen: "for proxy.example; ends in 80 days, on "}},
		"ends in a week": {-days, 7*days + time.Hour, want{doctor.Warning, "certificate-ends", "ends in 7 days", ""}},
		"ends tomorrow":  {-days, 25 * time.Hour, want{doctor.Warning, "certificate-ends", "ends in 1 day,", ""}},
		"ends today":     {-days, time.Hour, want{doctor.Warning, "certificate-ends", "in less than a day", ""}},
		"ended":          {-9 * days, -3 * days, want{doctor.Broken, "certificate-ended", "ended 3 days ago", ""}},
		"not yet valid":  {days, 90 * days, want{doctor.Broken, "certificate-early", "isn't valid before", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			load := func() ([]*x509.Certificate, error) {
				return []*x509.Certificate{certificate(t, c.from, c.to, "proxy.example").Leaf}, nil
			}
			found := examine(t, doctor.Plan{Certificates: []doctor.Certificate{{What: "the certificate of x", Load: load}}})
			f := found.only(t, "certificate")
			c.want.check(t, f)
			if f.Subject != "the certificate of x" {
				t.Errorf("it is about %q", f.Subject)
			}
		})
	}
}

func TestCertificateThatCannotBeLoaded(t *testing.T) {
	for seen, load := range map[string]func() ([]*x509.Certificate, error){
		"can't be used: it is no PEM?": func() ([]*x509.Certificate, error) { return nil, errors.New("it is no PEM\x1b") },
		"there is no certificate":      func() ([]*x509.Certificate, error) { return nil, nil },
	} {
		found := examine(t, doctor.Plan{Certificates: []doctor.Certificate{{What: "x", Load: load}}})
		want{doctor.Broken, "certificate-unusable", seen, ""}.check(t, found.only(t, "certificate"))
	}
}

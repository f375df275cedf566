package doctor

import (
	"crypto/x509"
	"errors"
	"testing"
	"time"
)

func TestCertificates(t *testing.T) {
	for name, c := range map[string]struct {
		from, to time.Duration
		want     want
	}{
		"good":           {-days, 80*days + time.Hour, want{status: OK, seen: "for proxy.example; ends in 80 days, on "}},
		"four weeks":     {-days, 29*days + time.Hour, want{status: OK, seen: "ends in 29 days, on "}},
		"ends in a week": {-days, 7*days + time.Hour, want{Warning, "certificate-ends", "ends in 7 days", ""}},
		"ends tomorrow":  {-days, 25 * time.Hour, want{Warning, "certificate-ends", "ends in 1 day,", ""}},
		"ends today":     {-days, time.Hour, want{Warning, "certificate-ends", "in less than a day", ""}},
		"ended":          {-9 * days, -3 * days, want{Broken, "certificate-ended", "ended 3 days ago", ""}},
		"not yet valid":  {days, 90 * days, want{Broken, "certificate-early", "isn't valid before", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			load := func() ([]*x509.Certificate, error) {
				return []*x509.Certificate{newLab(t, "Contoso").server(t, c.from, c.to, "proxy.example").Certificates[0].Leaf}, nil
			}
			found := run(t, Plan{Certificates: []Certificate{{What: "the certificate of x", Load: load}}})
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
		found := run(t, Plan{Certificates: []Certificate{{What: "x", Load: load}}})
		want{Broken, "certificate-unusable", seen, ""}.check(t, found.only(t, "certificate"))
	}
}

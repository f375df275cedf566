package doctor

import (
	"cmp"
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
)

// public are the beginnings of the names of organizations that make
// certificates for everybody. It serves to tell a company's own authority from
// them, and so may hold more than Microsoft uses.
var public = []string{
	"digicert", "microsoft", "globalsign", "baltimore", "cybertrust", "entrust", "sectigo", "comodo", "usertrust",
	"the usertrust", "geotrust", "thawte", "verisign", "symantec", "rapidssl", "godaddy", "starfield", "amazon",
	"google trust", "let's encrypt", "internet security research", "identrust", "ssl corp", "quovadis", "swisssign",
	"trustasia", "wotrus", "certum", "unizeto", "asseco", "buypass", "actalis", "telia", "t-systems", "d-trust",
	"harica", "u.s. government", "hellenic academic", "secom", "cfca", "china financial", "beijing xinchacha", "guangdong certificate",
}

// isPublic tells whether one of the chains leads to a public authority.
func isPublic(chains [][]*x509.Certificate) bool {
	for _, chain := range chains {
		if len(chain) > 0 && isPublicIssuer(chain[len(chain)-1]) {
			return true
		}
	}
	return false
}

// isPublicIssuer tells whether a certificate names a public authority as its
// issuer.
func isPublicIssuer(c *x509.Certificate) bool {
	// A root of the nineties may have no organization, but a common name.
	name := strings.ToLower(organization(c.Issuer))
	for _, known := range public {
		if strings.HasPrefix(name, known) {
			return true
		}
	}
	return false
}

// issuer names who has made a certificate.
func issuer(c *x509.Certificate) string {
	return cmp.Or(clean(organization(c.Issuer)), "somebody without a name")
}

func organization(name pkix.Name) string {
	if len(name.Organization) > 0 && strings.TrimSpace(name.Organization[0]) != "" {
		return name.Organization[0]
	}
	return name.CommonName
}

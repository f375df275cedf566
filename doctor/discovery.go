package doctor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"oauthproxy/internal/remedy"
)

// discovery holds what counts of a discovery document, or of the error in its
// place.
type discovery struct {
	Authorization string `json:"authorization_endpoint"`
	Token         string `json:"token_endpoint"`
	Issuer        string `json:"issuer"`
	// Entra ID's own; for a tenant they tell in which cloud it is.
	Instance string `json:"cloud_instance_name"`
	Region   string `json:"tenant_region_scope"`
	Part     string `json:"tenant_region_sub_scope"`

	Error       string `json:"error"`
	Description string `json:"error_description"`
	Codes       []int  `json:"error_codes"`
}

// parseDiscovery reads what came; ok is false when it is no JSON object. A
// field of another type counts as missing.
func parseDiscovery(body []byte) (d discovery, ok bool) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil || fields == nil {
		return d, false
	}
	for name, field := range map[string]any{
		"authorization_endpoint": &d.Authorization, "token_endpoint": &d.Token, "issuer": &d.Issuer,
		"cloud_instance_name": &d.Instance, "tenant_region_scope": &d.Region, "tenant_region_sub_scope": &d.Part,
		"error": &d.Error, "error_description": &d.Description, "error_codes": &d.Codes,
	} {
		_ = json.Unmarshal(fields[name], field)
	}
	return d, true
}

var aadsts = regexp.MustCompile(`AADSTS(\d{1,9})\b`)

// code is Entra ID's number of an error; 0 is none.
func (d discovery) code() int {
	if len(d.Codes) > 0 && d.Codes[0] > 0 {
		return d.Codes[0]
	}
	if found := aadsts.FindStringSubmatch(d.Description); found != nil {
		number, _ := strconv.Atoi(found[1])
		return number
	}
	return 0
}

// judgeDiscovery tells what an answer means. isEntra says that it comes from
// Entra ID as far as can be seen, and so its Date does.
func judgeDiscovery(a authority, response *http.Response, body []byte) (f Finding, isEntra bool) {
	d, isJSON := parseDiscovery(body)
	status := response.StatusCode
	switch {
	case isJSON && d.Error != "" && d.code() != 0:
		return judgeError(a, status, d), true
	case status == http.StatusOK && isJSON && d.Authorization != "" && d.Token != "" && d.Issuer != "":
		return judgeDocument(a, d), true
	case status == http.StatusProxyAuthRequired:
		return a.explain(&connectRefused{a.url.Host, a.url.Host, status}), false
	case status == http.StatusTooManyRequests:
		return a.finding(Warning, "entra-throttles", "status 429"), false
	case status >= 500 && status != http.StatusNetworkAuthenticationRequired:
		return a.finding(Warning, "entra-fault", fmt.Sprintf("status %d", status)), false
	case status == http.StatusOK && isJSON, status == http.StatusNotFound, status == http.StatusBadRequest:
		return a.finding(Broken, "discovery-unusable", fmt.Sprintf("no discovery document (status %d)", status)), false
	}
	return a.finding(Broken, "captive-portal", intruder(response, body)), false
}

// intruder says what came in place of Entra ID's answer.
func intruder(response *http.Response, body []byte) string {
	status := response.StatusCode
	if status >= 300 && status < 400 {
		if to, err := url.Parse(response.Header.Get("Location")); err == nil && to.Host != "" {
			return fmt.Sprintf("status %d, which leads to %s", status, clean(to.Host))
		}
		return fmt.Sprintf("status %d, which leads elsewhere", status)
	}
	if kind := response.Header.Get("Content-Type"); strings.HasPrefix(kind, "text/html") || bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")) {
		return fmt.Sprintf("a web page (status %d)", status)
	}
	return fmt.Sprintf("an answer that isn't Entra ID's (status %d)", status)
}

// judgeError tells what an error of Entra ID's in place of the document means.
func judgeError(a authority, status int, d discovery) Finding {
	r, known := remedy.ByAADSTS(d.code())
	if !known {
		sentence, _, _ := strings.Cut(d.Description, ". ")
		f := a.finding(Broken, "entra-refuses", fmt.Sprintf("AADSTS%d (status %d): %s", d.code(), status, quote(sentence)))
		f.Fix = append(f.Fix, fmt.Sprintf("look it up: https://login.microsoftonline.com/error?code=%d", d.code()))
		return f
	}
	s := Broken
	if r.Class == remedy.Later {
		s = Warning
	}
	return wrong(s, fmt.Sprintf("AADSTS%d (status %d)", d.code(), status), r, a.facts(nil))
}

// judgeDocument compares a tenant's document with the authority it came from,
// and with the cloud that is configured.
func judgeDocument(a authority, d discovery) Finding {
	for _, endpoint := range []string{d.Token, d.Authorization} {
		if f, foreign := a.compare(endpoint, Broken); foreign {
			return f
		}
	}
	if seen, s := a.compareCloud(d); s != OK {
		return a.finding(s, "wrong-cloud", seen)
	}
	if f, foreign := a.compare(d.Issuer, Warning); foreign {
		return f
	}
	seen := "issuer " + clean(d.Issuer)
	if d.Region != "" {
		seen += ", region " + clean(strings.TrimSpace(d.Region+" "+d.Part))
	}
	return well(seen)
}

// Microsoft's clouds, by their domains at Entra ID.
const (
	worldwide  = "worldwide"
	government = "US government"
	china      = "China"
)

// authorityHosts are Entra ID's, the current ones and old ones that documents
// still name.
var authorityHosts = map[string]string{
	"login.microsoftonline.com":        worldwide,
	"login.windows.net":                worldwide,
	"login.microsoft.com":              worldwide,
	"sts.windows.net":                  worldwide,
	"login.microsoftonline.us":         government,
	"login.usgovcloudapi.net":          government,
	"login.partner.microsoftonline.cn": china,
	"login.chinacloudapi.cn":           china,
}

// compare tells whether an address of the document is at a foreign host: in
// another cloud, which has that status, or not Microsoft's at all.
func (a authority) compare(address string, otherCloud Status) (f Finding, foreign bool) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return a.finding(Broken, "discovery-unusable", "an address in the discovery document isn't one: "+clean(address)), true
	}
	cloud, known := authorityHosts[strings.ToLower(u.Hostname())]
	switch {
	case strings.EqualFold(addressOf(u), addressOf(a.url)), known && cloud == a.cloud():
		return f, false
	case known:
		return a.finding(otherCloud, "wrong-cloud", "the tenant's document names "+clean(u.Host)+", of the cloud "+cloud), true
	}
	return a.finding(Broken, "authority-foreign", "the tenant's document names "+clean(u.Host)), true
}

// cloud is the one that the authority is in, or else the configured one.
func (a authority) cloud() string {
	if cloud, known := authorityHosts[strings.ToLower(a.url.Hostname())]; known {
		return cloud
	}
	switch a.account.Cloud {
	case "gcc-high", "dod":
		return government
	case "china":
		return china
	}
	return worldwide
}

// compareCloud compares what a document says about its tenant's cloud with the
// one that is used. Documents that aren't a tenant's own say nothing.
//
// tenant_region_scope is USGov for GCC High (with the part DODCON) and DoD
// (DOD), and NA with the part GCC for GCC, which is in the worldwide cloud. An
// old USG stands for either, and so does the instance microsoftonline.us below
// the worldwide authority.
func (a authority) compareCloud(d discovery) (seen string, s Status) {
	if d.Region == "" {
		return "", OK
	}
	region, configured := strings.ToLower(d.Region), a.cloud()
	seen = "the tenant is in the region " + clean(strings.TrimSpace(d.Region+" "+d.Part))
	switch {
	case region == "usgov" && configured != government, region != "usgov" && region != "usg" && configured == government:
		return seen, Broken
	case strings.HasSuffix(d.Instance, ".cn") != (configured == china) && d.Instance != "":
		return seen + ", cloud " + clean(d.Instance), Broken
	}
	parts := map[string]string{"gcc-high": "DODCON", "dod": "DOD"}
	if want, known := parts[a.account.Cloud]; known && slices.Contains([]string{"DODCON", "DOD"}, d.Part) && d.Part != want {
		return seen, Warning
	}
	return "", OK
}

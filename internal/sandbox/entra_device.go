package sandbox

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"
)

const (
	deviceCodeLife     = 15 * time.Minute
	deviceCodeInterval = 5 * time.Second
)

// deviceCode is a sign-in that waits for a person at another screen (RFC
// 8628).
type deviceCode struct {
	app      *application
	userCode string
	tenant   string
	scopes   scopes
	state    deviceState
	person   *person // who has approved it
	expires  time.Time
	interval time.Duration // between two polls
	polled   time.Time
}

type deviceState int

const (
	devicePending deviceState = iota
	deviceApproved
	deviceDeclined
	deviceRedeemed
)

// deviceAuthorization gives a device a code for itself and one for the person.
func (e *entra) deviceAuthorization(w http.ResponseWriter, r *http.Request) {
	tenant := r.PathValue("tenant")
	sc, number := parseScopes(r.PostFormValue("scope"))
	switch {
	case !e.knowsTenant(tenant) && !isSharedTenant(tenant):
		e.refuse(w, r, 90002)
	case e.app(r) == nil:
		e.refuse(w, r, 700016)
	case e.sandbox.opts.NoPublicClient:
		e.refuse(w, r, 7000218)
	case r.PostFormValue("scope") == "":
		e.refuse(w, r, 900144)
	case number != 0:
		e.refuse(w, r, number)
	default:
		code, d := e.newDeviceCode(e.app(r), tenant, sc)
		page := "https://" + r.Host + "/devicelogin"
		writeJSON(w, http.StatusOK, map[string]any{
			"user_code":        d.userCode,
			"device_code":      code,
			"verification_uri": page,
			"expires_in":       int(time.Until(d.expires).Round(time.Second).Seconds()),
			"interval":         int(math.Ceil(d.interval.Seconds())),
			"message": "To sign in, use a web browser to open the page " + page +
				" and enter the code " + d.userCode + " to authenticate.",
		})
	}
}

func (e *entra) newDeviceCode(app *application, tenant string, sc scopes) (code string, d *deviceCode) {
	opts := e.sandbox.opts
	random := make([]byte, 150)
	rand.Read(random)
	code = base64.RawURLEncoding.EncodeToString(random)
	d = &deviceCode{
		app:      app,
		userCode: rand.Text()[:9],
		tenant:   tenant,
		scopes:   sc,
		expires:  time.Now().Add(cmp.Or(opts.DeviceCodeLifetime, deviceCodeLife)),
		interval: cmp.Or(opts.DeviceCodeInterval, deviceCodeInterval),
	}
	if p, err := e.signInPerson(opts.AutoApprove, tenant); err == nil {
		d.person, d.state = p, deviceApproved
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.forgetOld()
	e.deviceCodes[code] = d
	return code, d
}

// deviceCodeGrant answers a poll.
func (e *entra) deviceCodeGrant(w http.ResponseWriter, r *http.Request) {
	if e.sandbox.opts.NoPublicClient {
		e.refuse(w, r, 7000218)
		return
	}
	from, refusal := e.pollDevice(e.app(r), r.PostFormValue("device_code"))
	if from == nil {
		e.refuseWith(w, r, refusal)
		return
	}
	e.grantSignIn(w, r, from, from.scopes)
}

// pollDevice returns the sign-in that a device code has led to, or why there
// is none.
func (e *entra) pollDevice(app *application, code string) (*signIn, entraError) {
	e.mu.Lock()
	defer e.mu.Unlock()
	d := e.deviceCodes[code]
	if d == nil || d.app != app {
		return nil, findEntraError(70018)
	}
	tooFast := e.countPoll(d)
	switch {
	case time.Now().After(d.expires):
		return nil, findEntraError(70020)
	case d.state == deviceDeclined:
		return nil, findEntraError(90120)
	case d.state == deviceRedeemed:
		return nil, findEntraError(54005)
	case d.state == devicePending && tooFast && e.sandbox.opts.SlowDown:
		d.interval += 5 * time.Second // RFC 8628 section 3.5
		return nil, slowDown
	case d.state == devicePending:
		return nil, findEntraError(70016)
	}
	d.state = deviceRedeemed
	return &signIn{app: app, person: d.person, scopes: d.scopes}, entraError{}
}

// countPoll tells whether a poll came before its time, a tenth of the interval
// being forgiven. The caller holds e.mu.
func (e *entra) countPoll(d *deviceCode) (tooFast bool) {
	now := time.Now()
	tooFast = now.Sub(d.polled) < d.interval*9/10
	d.polled = now
	if tooFast {
		e.pollsTooFast++
	}
	return tooFast
}

// decideDevice settles the sign-in with that user code, in upper or lower case.
func (e *entra) decideDevice(userCode string, decide func(*deviceCode) error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, d := range e.deviceCodes {
		if !strings.EqualFold(d.userCode, strings.TrimSpace(userCode)) {
			continue
		}
		if d.state != devicePending || time.Now().After(d.expires) {
			return fmt.Errorf("code %s has expired or was already used or declined", d.userCode)
		}
		return decide(d)
	}
	return fmt.Errorf("no sign-in has the code %s", userCode)
}

// ApproveDeviceCode signs a person in as if the user code had been entered at
// /devicelogin. It is an error when no sign-in waits under that code, or when
// the person cannot sign in at its tenant.
func (s *Sandbox) ApproveDeviceCode(userCode, address string) error {
	return s.entra.decideDevice(userCode, func(d *deviceCode) error {
		p, err := s.entra.signInPerson(address, d.tenant)
		if err != nil {
			return err
		}
		d.person, d.state = p, deviceApproved
		s.entra.giveConsent(p)
		return nil
	})
}

// DeclineDeviceCode refuses the sign-in, as a person may at /devicelogin.
func (s *Sandbox) DeclineDeviceCode(userCode string) error {
	return s.entra.decideDevice(userCode, func(d *deviceCode) error {
		d.state = deviceDeclined
		return nil
	})
}

// ExpireDeviceCode lets the time of a sign-in run out.
func (s *Sandbox) ExpireDeviceCode(userCode string) error {
	return s.entra.decideDevice(userCode, func(d *deviceCode) error {
		d.expires = time.Now()
		return nil
	})
}

// DeviceCodes returns the user codes that wait for a person.
func (s *Sandbox) DeviceCodes() []string {
	s.entra.mu.Lock()
	defer s.entra.mu.Unlock()
	var codes []string
	for _, d := range s.entra.deviceCodes {
		if d.state == devicePending && time.Now().Before(d.expires) {
			codes = append(codes, d.userCode)
		}
	}
	return codes
}

// DeviceCodePollsTooFast is how many polls came sooner than the interval that
// the client had been told.
func (s *Sandbox) DeviceCodePollsTooFast() int {
	s.entra.mu.Lock()
	defer s.entra.mu.Unlock()
	return s.entra.pollsTooFast
}

package tokens

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	// defaultInterval is how long to wait between polls where the server
	// doesn't say, and slowDown is added each time it finds us too fast
	// (RFC 8628 sections 3.2 and 3.5).
	defaultInterval = 5 * time.Second
	slowDown        = 5 * time.Second
	// maxPollPause bounds the wait that doubles while Entra ID is away.
	maxPollPause = time.Minute
)

// poller is a transport that makes MSAL's polling for a device code bearable.
// By itself MSAL begins with twenty polls a second, whatever the server asks
// for, and gives up at the first fault. It is used by one sign-in, for one
// request at a time.
type poller struct {
	next     http.RoundTripper
	interval time.Duration // 0: no code is shown yet
	last     time.Time     // when the last poll ended
	refusal  *errorAnswer  // the last one; nil: none
}

// errorAnswer is what Entra ID refuses with.
type errorAnswer struct {
	status int
	body   tokenError
}

// isPending tells whether polling goes on after it.
func (r *errorAnswer) isPending() bool {
	return r.body.Error == "authorization_pending" || r.body.Error == "slow_down"
}

// start makes every request from now on a poll.
func (p *poller) start(interval time.Duration) {
	if interval <= 0 {
		interval = defaultInterval
	}
	p.interval, p.last = interval, time.Now()
}

// RoundTrip waits until the next poll is due, and polls until there is an
// answer or the code has ended.
func (p *poller) RoundTrip(r *http.Request) (*http.Response, error) {
	if p.interval == 0 {
		return p.next.RoundTrip(mendDeviceAddress(r))
	}
	for pause := p.interval; ; {
		if err := sleep(r.Context(), pause-time.Since(p.last)); err != nil {
			return nil, err
		}
		response, wait := p.poll(r)
		p.last = time.Now()
		if response != nil {
			return response, nil
		}
		pause = max(min(2*pause, maxPollPause), wait)
	}
}

// poll makes one request. It returns nil, and how long the server wants to be
// left alone, where asking again may help: a connection that breaks or hangs,
// throttling and faults of Entra ID's.
func (p *poller) poll(r *http.Request) (response *http.Response, wait time.Duration) {
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	again := r.Clone(ctx)
	if r.GetBody != nil {
		again.Body, _ = r.GetBody() // MSAL's is a copy in memory, which can't fail
	}
	response, err := p.next.RoundTrip(again)
	if err != nil {
		return nil, 0
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body) // bounded by the guard
	if err != nil {
		return nil, 0
	}
	if passes(response.StatusCode) {
		return nil, min(retryAfter(response.Header.Get("Retry-After"), time.Now()), maxRetryAfter)
	}
	p.note(response.StatusCode, data)
	response.Body = io.NopCloser(bytes.NewReader(data))
	return response, 0
}

// note remembers an error answer and obeys slow_down.
func (p *poller) note(status int, data []byte) {
	if status == http.StatusOK {
		return
	}
	p.refusal = &errorAnswer{status: status}
	_ = json.Unmarshal(data, &p.refusal.body)
	if p.refusal.body.Error == "slow_down" {
		p.interval += slowDown
	}
}

func sleep(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// mendDeviceAddress: MSAL makes the address for device codes out of that for
// tokens by replacing every "token" in it, in the name of the tenant as well.
func mendDeviceAddress(r *http.Request) *http.Request {
	const device, token = "devicecode", "token"
	folder, last := "", r.URL.Path
	if i := strings.LastIndex(last, "/"); i >= 0 {
		folder, last = last[:i+1], last[i+1:]
	}
	if last != device {
		return r
	}
	mended := r.Clone(r.Context())
	mended.URL.Path, mended.URL.RawPath = strings.ReplaceAll(folder, device, token)+last, ""
	mended.URL.Host = strings.ReplaceAll(mended.URL.Host, device, token)
	mended.Host = ""
	return mended
}

package tokens

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"oauthproxy/internal/wire"
)

const (
	testPerson   = "alice@contoso.example"
	testTenantID = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
	mailScope    = "https://outlook.office.com/IMAP.AccessAsUser.All"
	testRefresh  = "1.AXrefresh-token-that-must-stay-hidden-everywhere"
	testCode     = "0.AXauthorization-code-that-must-stay-hidden"
	testPassword = "Pa55&word%"
	testDevice   = "BAQABdevice-code-that-must-stay-hidden-as-well"
)

// identity is who an answer is about.
type identity struct{ name, object, tenant string }

var alice = identity{testPerson, "a11ce000-0000-4000-8000-000000000001", testTenantID}

func encoded(v any) string {
	data, _ := json.Marshal(v)
	return base64.RawURLEncoding.EncodeToString(data)
}

// answer is Entra ID's to a token request for a person.
func (i identity) answer(access, refresh string, seconds int) map[string]any {
	return map[string]any{
		"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "scope": mailScope,
		"access_token": access, "refresh_token": refresh,
		"id_token": encoded(map[string]string{"alg": "none"}) + "." + encoded(map[string]string{
			"preferred_username": i.name, "oid": i.object, "sub": "s-" + i.object, "tid": i.tenant}) + ".",
		"client_info": encoded(map[string]string{"uid": i.object, "utid": i.tenant}),
	}
}

func (i identity) grant(access, refresh string, seconds int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, 200, i.answer(access, refresh, seconds)) }
}

// grantNumbered grants access-1 and refresh-1, and so on.
func (i identity) grantNumbered(seconds int) http.HandlerFunc {
	var count atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		n := count.Add(1)
		i.grant(fmt.Sprintf("%s-%d", testToken, n), fmt.Sprintf("%s-%d", testRefresh, n), seconds)(w, r)
	}
}

// personApp is an application in which people sign in.
func (e *entra) personApp(flow Flow) App {
	return App{Authority: e.authority(), ClientID: testClientID, Flow: flow, Scopes: []string{mailScope, "offline_access"}}
}

// shelf is a store in memory.
type shelf struct {
	mu                          sync.Mutex
	blobs                       map[string][]byte
	saves                       int
	loadErr, saveErr, deleteErr error
}

func newShelf() *shelf { return &shelf{blobs: map[string][]byte{}} }

func (s *shelf) Load(account string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loadErr != nil {
		return nil, s.loadErr
	}
	blob, found := s.blobs[account]
	if !found {
		return nil, ErrNotFound
	}
	return blob, nil
}

func (s *shelf) Save(account string, blob []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saves++
	if s.saveErr == nil {
		s.blobs[account] = blob
	}
	return s.saveErr
}

func (s *shelf) Delete(account string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deleteErr == nil {
		delete(s.blobs, account)
	}
	return s.deleteErr
}

// fail makes saving fail, or succeed again.
func (s *shelf) fail(err error) { s.change(func() { s.saveErr = err }) }

// change lets a test meddle with the shelf.
func (s *shelf) change(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// saved is how often something was to be saved.
func (s *shelf) saved() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saves
}

func (s *shelf) has(account, text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(string(s.blobs[account]), text)
}

var errFull = errors.New("no space left on device")

// person is a Dialog whose person does what the functions say; nil: nothing.
type person struct {
	code     func(DeviceCode)
	address  func(url string)
	pasted   chan string
	again    func(reason string)
	password wire.Secret
	codes    []DeviceCode
}

func (p *person) Code(c DeviceCode) {
	p.codes = append(p.codes, c)
	if p.code != nil {
		p.code(c)
	}
}

func (p *person) Address(url string) {
	if p.address != nil {
		p.address(url)
	}
}

func (p *person) Pasted() <-chan string { return p.pasted }

func (p *person) PasteAgain(reason string) {
	if p.again != nil {
		p.again(reason)
	}
}

func (p *person) Password(context.Context) (wire.Secret, error) {
	if p.password.IsEmpty() {
		return wire.Secret{}, errors.New("nobody at the keyboard")
	}
	return p.password, nil
}

// knownRealm is what MSAL asks before it sends a password.
func (e *entra) knownRealm() {
	e.serve("/common/UserRealm/"+testPerson, func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, 200, map[string]string{"account_type": "Managed", "domain_name": "contoso.example",
			"cloud_instance_name": "login.example", "cloud_audience_urn": "urn:x"})
	})
}

// house is a stand-in, a store and a log, and brokers for alice who signs in
// by password, the flow with the fewest steps.
type house struct {
	*entra
	shelf *shelf
	log   *logBuffer
	app   App
}

func newHouse() *house {
	e := newEntra()
	e.knownRealm()
	e.answer(alice.grantNumbered(int(life / time.Second)))
	return &house{entra: e, shelf: newShelf(), log: &logBuffer{}, app: e.personApp(FlowPassword)}
}

// open starts a broker; the test closes it.
func (h *house) open(t *testing.T) *Broker {
	t.Helper()
	return h.openFor(t, Account{Name: testAccount, SignInAs: testPerson, App: h.app})
}

func (h *house) openFor(t *testing.T, accounts ...Account) *Broker {
	t.Helper()
	b, err := NewBroker(accounts, Options{HTTPClient: h.client(), Log: h.log.logger(), Store: h.shelf})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var aliceHerself = &person{password: wire.NewSecret(testPassword)}

func mustSignIn(t *testing.T, b *Broker) Status {
	t.Helper()
	status, err := b.SignIn(t.Context(), testAccount, aliceHerself)
	if err != nil {
		t.Fatalf("not signed in: %v", err)
	}
	if status.SignedInAs != testPerson {
		t.Fatalf("signed in as %q", status.SignedInAs)
	}
	return status
}

// wantRefusedSignIn wants an error of the class with the words.
func wantRefusedSignIn(t *testing.T, b *Broker, d Dialog, class Class, words string) *Error {
	t.Helper()
	_, err := b.SignIn(t.Context(), testAccount, d)
	failure, ok := err.(*Error)
	if !ok {
		t.Fatalf("got %v, want an *Error", err)
	}
	if failure.Class != class || !strings.Contains(failure.Text, words) || failure.Account != testAccount {
		t.Errorf("got %v of account %q: %q, want %v: %q", failure.Class, failure.Account, failure.Text, class, words)
	}
	return failure
}

func wantState(t *testing.T, b *Broker, state State, words, next string) Status {
	t.Helper()
	status, found := b.Account(testAccount)
	if !found || status.State != state || !strings.Contains(status.Text, words) || !strings.Contains(status.Next, next) ||
		state == StateReady && words == "" && status.Text != "" {
		t.Errorf("status %+v, want %q, %q, %q", status, state, words, next)
	}
	return status
}

// inHouse runs a test in virtual time with a broker into which alice has signed in.
func inHouse(t *testing.T, test func(t *testing.T, h *house, b *Broker)) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse()
		b := h.open(t)
		defer b.Close()
		mustSignIn(t, b)
		test(t, h, b)
	})
}

func aliceToken(n int) string { return fmt.Sprintf("%s-%d", testToken, n) }

// fmtAll prints v in all the ways there are.
func fmtAll(v any) string { return fmt.Sprintf("%v %+v %#v %s %q %x", v, v, v, v, v, v) }

package tokens

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// browserHouse is a house whose app signs people in by a browser.
func browserHouse() *house {
	h := newHouse()
	h.app = h.personApp(FlowBrowser)
	return h
}

// visit is what a browser brings back to the address that it was sent to.
type visit struct {
	method, path string
	values       url.Values
}

// asked is what the sign-in address asks Entra ID for.
func asked(t *testing.T, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Path != "/"+testTenant+"/oauth2/v2.0/authorize" {
		t.Errorf("sign-in address %q: %v", address, err)
		return url.Values{}
	}
	return u.Query()
}

// browse makes a visit and returns the page.
func browse(t *testing.T, base string, v visit) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var response *http.Response
	var err error
	if v.method == http.MethodPost {
		response, err = client.PostForm(base+v.path, v.values)
	} else {
		request, _ := http.NewRequest(v.method, base+v.path+"?"+v.values.Encode(), nil)
		response, err = client.Do(request)
	}
	if err != nil {
		t.Errorf("%s %s: %v", v.method, v.path, err)
		return 0, ""
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	if policy := response.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || response.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", response.Header)
	}
	return response.StatusCode, string(body)
}

// yes is the redirect of a person who has signed in.
func yes(query url.Values) url.Values {
	return url.Values{"code": {testCode}, "state": {query.Get("state")}, "session_state": {"x"}}
}

func TestBrowser(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		t.Run(method, func(t *testing.T) {
			h := browserHouse()
			b := h.open(t)
			defer b.Close()
			var query url.Values
			pages := make(chan string, 1)
			status, err := b.SignIn(t.Context(), testAccount, &person{address: func(address string) {
				query = asked(t, address)
				go func() {
					_, text := browse(t, query.Get("redirect_uri"), visit{method, "/", yes(query)})
					pages <- text
				}()
			}})
			if err != nil || status.SignedInAs != testPerson || status.State != StateReady {
				t.Fatalf("%+v, %v", status, err)
			}
			if text := <-pages; !strings.Contains(text, "You are signed in as "+testPerson) {
				t.Errorf("page %s", text)
			}
			wantSignInAddress(t, query)
			challenge := sha256.Sum256([]byte(h.sent("code_verifier")))
			if base64.RawURLEncoding.EncodeToString(challenge[:]) != query.Get("code_challenge") || len(h.sent("code_verifier")) < 43 {
				t.Error("the code's verifier doesn't fit its challenge")
			}
			if h.sent("code") != testCode || h.sent("redirect_uri") != query.Get("redirect_uri") || h.sent("grant_type") != "authorization_code" {
				t.Error("the code wasn't redeemed")
			}
			wantToken(t, b, aliceToken(1))
			wantNoTrace(t, "the log", h.log.String())
		})
	}
}

func wantSignInAddress(t *testing.T, query url.Values) {
	t.Helper()
	want := map[string]string{
		"client_id": testClientID, "response_type": "code", "response_mode": "query", "code_challenge_method": "S256",
		"login_hint": testPerson, "scope": mailScope + " openid offline_access profile",
	}
	for key, value := range want {
		if query.Get(key) != value {
			t.Errorf("%s is %q, want %q", key, query.Get(key), value)
		}
	}
	if !strings.HasPrefix(query.Get("redirect_uri"), "http://localhost:") || len(query.Get("state")) < 20 {
		t.Errorf("redirect_uri %q, state %q", query.Get("redirect_uri"), query.Get("state"))
	}
}

// Neither a browser's curiosity nor another program ends the sign-in.
func TestStrayRequests(t *testing.T) {
	h := browserHouse()
	b := h.open(t)
	defer b.Close()
	_, err := b.SignIn(t.Context(), testAccount, &person{address: func(address string) {
		query := asked(t, address)
		base := query.Get("redirect_uri")
		for _, stray := range []struct {
			visit
			status int
		}{
			{visit{"GET", "/favicon.ico", nil}, 404},
			{visit{"GET", "/", nil}, 404},
			{visit{"HEAD", "/", nil}, 404},
			{visit{"POST", "/", nil}, 404},
			{visit{"POST", "/", url.Values{"code": {strings.Repeat("x", 2*maxRedirect)}}}, 404},
			{visit{"PUT", "/", yes(query)}, 404},
			{visit{"GET", "/elsewhere", yes(query)}, 404},
			{visit{"GET", "/", url.Values{"code": {"stolen"}, "state": {"guessed"}}}, 400},
			{visit{"GET", "/", url.Values{"code": {"stolen"}}}, 400},
			{visit{"POST", "/", url.Values{"error": {"access_denied"}, "state": {"guessed"}}}, 400},
		} {
			if status, _ := browse(t, base, stray.visit); status != stray.status {
				t.Errorf("%v: status %d, want %d", stray.visit.path, status, stray.status)
			}
		}
		go browse(t, base, visit{"GET", "/", yes(query)})
	}})
	if err != nil {
		t.Fatal(err)
	}
	if h.sent("code") != testCode {
		t.Error("another code was redeemed")
	}
}

func TestBothLoopbackAddresses(t *testing.T) {
	end, err := listenForBrowser("state")
	if err != nil {
		t.Fatal(err)
	}
	defer end.close()
	hosts := []string{"127.0.0.1"}
	if l, err := net.Listen("tcp6", "[::1]:0"); err == nil {
		l.Close()
		hosts = append(hosts, "::1")
	}
	for _, host := range hosts {
		conn, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(end.port)))
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
}

func TestBrowserIsRefused(t *testing.T) {
	tests := []struct {
		name        string
		error, text string
		class       Class
		words       string
	}{
		{"declined", "access_denied", "AADSTS65004: User declined to consent to access the app.", PersonNeeded, "consent was declined (AADSTS65004)"},
		{"cancelled", "access_denied", "the user canceled the authentication", PersonNeeded, "the sign-in was declined"},
		{"blocked", "access_denied", "AADSTS53003: Access has been blocked by Conditional Access policies.", AdministratorNeeded, "a Conditional Access policy blocks this sign-in"},
		{"redirect address", "invalid_request", "AADSTS50011: The redirect URI does not match.", SetUpWrong, "add http://localhost"},
		{"new", "new_error", "AADSTS4711: <script>alert(1)</script> is new.", TryLater, "<script>"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := browserHouse()
			b := h.open(t)
			defer b.Close()
			pages := make(chan string, 1)
			wantRefusedSignIn(t, b, &person{address: func(address string) {
				query := asked(t, address)
				values := url.Values{"error": {test.error}, "error_description": {test.text}, "state": {query.Get("state")}}
				go func() { _, text := browse(t, query.Get("redirect_uri"), visit{"GET", "/", values}); pages <- text }()
			}}, test.class, test.words)
			if text := <-pages; !strings.Contains(text, "Not signed in") || strings.Contains(text, "<script>") {
				t.Errorf("page %s", text)
			}
			if h.requests() != 0 {
				t.Error("a token was asked for")
			}
		})
	}
}

// The page tells what became of the code, not only that it has come.
func TestPageTellsTheResult(t *testing.T) {
	h := browserHouse()
	h.answer(identity{"bob@contoso.example", "b0b", testTenantID}.grant("b", "b", 4500))
	b := h.open(t)
	defer b.Close()
	pages := make(chan string, 1)
	wantRefusedSignIn(t, b, &person{address: func(address string) {
		query := asked(t, address)
		go func() {
			_, text := browse(t, query.Get("redirect_uri"), visit{"GET", "/", yes(query)})
			pages <- text
		}()
	}}, PersonNeeded, "bob@contoso.example signed in")
	if text := <-pages; !strings.Contains(text, "bob@contoso.example signed in, but this account needs "+testPerson) {
		t.Errorf("page %s", text)
	}
}

// The browser asks twice, as some do: both get the same page, one code is redeemed.
func TestBrowserAsksTwice(t *testing.T) {
	end := newBrowserEnd("s")
	server := httptest.NewServer(end)
	defer server.Close()
	pages := make(chan string, 2)
	for range 2 {
		go func() {
			_, text := browse(t, server.URL, visit{"GET", "/", url.Values{"code": {"c"}, "state": {"s"}}})
			pages <- text
		}()
	}
	if answer, failure := end.wait(t.Context(), &person{}); failure != nil || answer.Code.Reveal() != "c" {
		t.Errorf("got %v, %v", answer, failure)
	}
	end.tell(&signedIn{SignedInAs: testPerson}, nil)
	end.tell(nil, errNobody()) // too late
	for range 2 {
		if text := <-pages; !strings.Contains(text, testPerson) {
			t.Errorf("page %s", text)
		}
	}
}

func TestWaitingForTheBrowserEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		_, failure := newBrowserEnd("s").wait(t.Context(), &person{})
		if failure == nil || failure.Class != PersonNeeded || !strings.Contains(failure.Text, "within 10 minutes") || time.Since(begin) != signInTimeout {
			t.Errorf("got %v after %v", failure, time.Since(begin))
		}
	})
}

func TestPersonLeavesTheBrowser(t *testing.T) {
	h := browserHouse()
	b := h.open(t)
	defer b.Close()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := b.SignIn(ctx, testAccount, &person{address: func(string) { cancel() }})
	var failure *Error
	if !errors.As(err, &failure) || !strings.Contains(failure.Text, "given up") {
		t.Errorf("got %v", err)
	}
}

func TestFaultsOfTheBrowsersCode(t *testing.T) {
	tests := []struct {
		name   string
		answer http.HandlerFunc
		class  Class
		words  string
	}{
		{"used already", refusal(400, "invalid_grant", 54005, "OAuth2 Authorization code was already redeemed."), PersonNeeded, "the sign-in's code was used already"},
		{"another verifier", refusal(400, "invalid_grant", 501481, "The Code_Verifier does not match."), PersonNeeded, "doesn't match its start"},
		{"new, with the code in it", refusal(400, "invalid_grant", 4711, "Wrong: "+testCode), PersonNeeded, "isn't shown"},
		{"503", plain(503, "down"), TryLater, "a fault (status 503)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := browserHouse()
			h.answer(test.answer)
			b := h.open(t)
			defer b.Close()
			wantRefusedSignIn(t, b, &person{address: func(address string) {
				query := asked(t, address)
				go browse(t, query.Get("redirect_uri"), visit{"GET", "/", yes(query)})
			}}, test.class, test.words)
		})
	}
}

func TestSignInAddressIsTheAuthoritys(t *testing.T) {
	for address, words := range map[string]string{
		"http://login.example/authorize": "not an https address",
		"https://evil.example/authorize": "a host that isn't its own",
	} {
		h := browserHouse()
		h.document = func(w http.ResponseWriter, _ *http.Request) {
			answerJSON(w, 200, map[string]any{"issuer": h.authority() + "/v2.0", "token_endpoint": h.authority() + "/oauth2/v2.0/token",
				"authorization_endpoint": address})
		}
		b := h.open(t)
		defer b.Close()
		wantRefusedSignIn(t, b, &person{address: func(string) { t.Error("shown") }}, SetUpWrong, words)
	}
}

// FuzzRedirect: whatever comes to the listener or is pasted, only the right
// state makes it an answer, and nothing panics.
func FuzzRedirect(f *testing.F) {
	f.Add("http://localhost:1/?code=a&state=s")
	f.Add("error=access_denied&error_description=AADSTS65004%3A&state=s")
	f.Add("%zz&;code")
	f.Fuzz(func(t *testing.T, text string) {
		end := newBrowserEnd("the-only-state")
		answer, err := end.read(parsePasted(text))
		if err != nil {
			return
		}
		if !strings.Contains(text, "the-only-state") && !strings.Contains(text, "%") && len(strings.Fields(text)) < 2 {
			t.Errorf("%q became an answer", text)
		}
		if answer.Code.IsEmpty() == (answer.Failure == nil) {
			t.Errorf("%q is neither a code nor a refusal", text)
		}
	})
}

package sandbox

import (
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"testing"
)

var (
	formAction = regexp.MustCompile(`action="([^"]*)"`)
	formField  = regexp.MustCompile(`name="([^"]*)" value="([^"]*)"`)
)

// parseForm reads a form that posts itself.
func parseForm(t *testing.T, body string) (action string, fields url.Values) {
	t.Helper()
	m := formAction.FindStringSubmatch(body)
	if m == nil {
		t.Errorf("no form in %q", body)
		return "", nil
	}
	fields = url.Values{}
	for _, field := range formField.FindAllStringSubmatch(body, -1) {
		fields.Add(html.UnescapeString(field[1]), html.UnescapeString(field[2]))
	}
	return html.UnescapeString(m[1]), fields
}

// postForm opens a page and lets its form post itself, as a browser does.
func postForm(t *testing.T, s *Sandbox, page string) {
	client := httpClient(t, s)
	resp, err := client.Get(page)
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("status %d, %v", resp.StatusCode, err)
		return
	}
	action, fields := parseForm(t, string(body))
	answer, err := client.PostForm(action, fields)
	if err != nil {
		t.Error(err)
		return
	}
	answer.Body.Close()
}

// getText opens a page.
func getText(t *testing.T, s *Sandbox, page string) string {
	t.Helper()
	resp, err := httpClient(t, s).Get(page)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

package sandbox

import (
	"cmp"
	"html/template"
	"net/http"
	"net/url"
)

// accountPage is what a person sees of Entra.
type accountPage struct {
	Title, Text string
	AskCode     bool     // for a user code
	Accounts    []string // to choose from; none: there is nothing to choose
	Hint        string   // the account that the client expects
}

var pages = template.Must(template.New("account").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Title}}</title></head><body>
<h1>{{.Title}}</h1>
<p>{{.Text}}</p>
{{if .Accounts}}<form method="post">
{{if .AskCode}}<p><label>Code <input name="user_code" autocomplete="off" autofocus></label></p>{{end}}
{{range .Accounts}}<p><button name="account" value="{{.}}">{{.}}</button></p>
{{end}}<p><label>Another account <input name="other" value="{{.Hint}}"></label> <button>Next</button></p>
<p><button name="decline" value="yes">Cancel</button></p>
</form>{{end}}
</body></html>
`))

// The words of this one are Entra's.
var _ = template.Must(pages.New("form").Parse(`<html><head><title>Working...</title></head><body>` +
	`<form method="POST" name="hiddenform" action="{{.Action}}">` +
	`{{range $name, $values := .Fields}}{{range $values}}<input type="hidden" name="{{$name}}" value="{{.}}" />{{end}}{{end}}` +
	`<noscript><p>Script is disabled. Click Submit to continue.</p><input type="submit" value="Submit" /></noscript></form>` +
	`<script language="javascript">document.forms[0].submit();</script></body></html>`))

func (e *entra) showPage(w http.ResponseWriter, status int, page accountPage) {
	e.show(w, status, "account", page)
}

// showForm shows a form that posts itself to the client.
func (e *entra) showForm(w http.ResponseWriter, action string, fields url.Values) {
	e.show(w, http.StatusOK, "form", map[string]any{"Action": action, "Fields": fields})
}

func (e *entra) show(w http.ResponseWriter, status int, name string, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if err := pages.ExecuteTemplate(w, name, data); err != nil {
		e.sandbox.log.Warn("cannot show a page", "page", name, "error", err)
	}
}

// accountsAt are the accounts that a page offers at a tenant.
func (e *entra) accountsAt(tenant string) []string {
	var addresses []string
	for _, sc := range plainMailboxes {
		if p := e.sandbox.person(sc.address()); p != nil && p.belongsTo(tenant) {
			addresses = append(addresses, p.address)
		}
	}
	return addresses
}

// chosenAccount is the button that was pressed on a page, or what was typed.
func chosenAccount(r *http.Request) string {
	return cmp.Or(r.PostFormValue("account"), r.PostFormValue("other"))
}

// deviceLogin is the page where a person enters a user code.
func (e *entra) deviceLogin(w http.ResponseWriter, _ *http.Request) {
	e.showPage(w, http.StatusOK, e.codePage("Enter the code displayed on your app or device."))
}

func (e *entra) codePage(text string) accountPage {
	return accountPage{Title: "Enter code", Text: text, AskCode: true, Accounts: e.accountsAt("common")}
}

// enterCode takes the form of that page: user_code=CODE and account=ADDRESS or
// decline=yes.
func (e *entra) enterCode(w http.ResponseWriter, r *http.Request) {
	code, done := r.PostFormValue("user_code"), "You have signed in. You may close this window."
	var err error
	if r.PostFormValue("decline") != "" {
		done = "You have declined to sign in. You may close this window."
		err = e.sandbox.DeclineDeviceCode(code)
	} else {
		err = e.sandbox.ApproveDeviceCode(code, chosenAccount(r))
	}
	if err != nil {
		e.showPage(w, http.StatusOK, e.codePage(err.Error()))
		return
	}
	e.showPage(w, http.StatusOK, accountPage{Title: "Done", Text: done})
}

package tokens

import (
	"errors"
	"html/template"
	"net/http"
	"net/url"
)

// page is what the person reads in the browser.
type page struct {
	status      int
	Title, Text string
}

var pageTemplate = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{.Title}}</title>
<style>body{font:1.1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:4rem auto;padding:0 1rem}</style>
<h1>{{.Title}}</h1>
<p>{{.Text}}</p>
</html>
`))

// resultPage tells what came of the sign-in.
func resultPage(in *signedIn, failure *Error) page {
	if failure != nil {
		return page{http.StatusOK, "Not signed in", failure.Text + "."}
	}
	return page{http.StatusOK, "Signed in", "You are signed in as " + in.SignedInAs + ". You can close this window."}
}

var strayPage = page{http.StatusNotFound, "Nothing here", "This address only waits for a sign-in to end."}

// ServeHTTP takes the browser's answer and shows what came of it. Whatever
// else asks, e.g. for an icon, doesn't disturb the sign-in.
func (e *browserEnd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	values, ok := redirectValues(w, r)
	if !ok {
		strayPage.write(w)
		return
	}
	answer, err := e.read(values)
	switch {
	case errors.Is(err, errNoAnswer):
		strayPage.write(w)
		return
	case err != nil:
		page{http.StatusBadRequest, "Not signed in", "This address can't be used: " + err.Error() + "."}.write(w)
		return
	}
	select {
	case e.answers <- answer:
	default: // the same page once more
	}
	select {
	case <-e.told:
		e.page.write(w)
	case <-r.Context().Done():
	}
}

// redirectValues returns what the browser brings, in the query or, by
// response_mode form_post, in a form.
func redirectValues(w http.ResponseWriter, r *http.Request) (url.Values, bool) {
	switch {
	case r.URL.Path != "/":
		return nil, false
	case r.Method == http.MethodGet:
		return r.URL.Query(), true
	case r.Method == http.MethodPost:
		r.Body = http.MaxBytesReader(w, r.Body, maxRedirect)
		err := r.ParseForm()
		return r.PostForm, err == nil
	}
	return nil, false
}

func (p page) write(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer") // the address holds the code
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	w.WriteHeader(p.status)
	_ = pageTemplate.Execute(w, p)
}

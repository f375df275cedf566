package registration

import (
	_ "embed"
	"strings"
	"text/template"
)

// Script is a PowerShell script for one administrator.
type Script struct {
	Name string // of the file
	Who  string // runs it
	Text string
}

//go:embed entra.ps1.tmpl
var entraTemplate string

//go:embed exchange.ps1.tmpl
var exchangeTemplate string

var templates = func() *template.Template {
	functions := template.FuncMap{"quote": quote, "quoteAll": quoteAll}
	t := template.Must(template.New("entra").Funcs(functions).Parse(entraTemplate))
	return template.Must(t.New("exchange").Parse(exchangeTemplate))
}()

// view is a plan as the templates see it.
type view struct {
	Plan
	Graph     string // the cloud's name to Connect-MgGraph
	Connect   string // to Exchange
	Person    bool
	Browser   bool
	NewSecret bool // with a new registration: one that is there may have its own
	Exchange  []section
}

// section is a part of a script: commands behind a comment.
type section struct {
	About string
	Lines []string
}

// Scripts returns one script for each administrator, in the order in which
// they are run.
func (p Plan) Scripts() []Script {
	v := view{Plan: p, Graph: p.cloud().graph, Connect: p.connectExchange(),
		Person: p.Access.HasPerson(), Browser: p.Access == Browser, NewSecret: p.Access == Secret && p.ClientID == ""}
	for _, part := range p.exchange("$ClientId", "$ObjectId") {
		v.Exchange = append(v.Exchange, section{strings.ToUpper(part.about[:1]) + part.about[1:] + ".", part.lines})
	}
	return []Script{
		{"setup-entra.ps1", "the administrator of Entra ID", v.render("entra")},
		{"setup-exchange.ps1", "the administrator of Exchange", v.render("exchange")},
	}
}

// render fills in a template. It can't fail with one that a test has run.
func (v view) render(name string) string {
	var b strings.Builder
	if err := templates.ExecuteTemplate(&b, name, v); err != nil {
		panic(err)
	}
	return b.String()
}

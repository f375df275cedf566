package main

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"oauthproxy/config"
	"oauthproxy/internal/registration"
)

// showSteps tells what is to be done at Microsoft, and who can do it.
func (s *setup) showSteps() {
	s.result("")
	s.result("What is to be done at Microsoft")
	s.result("")
	s.steps(s.Plan, widthOf(s.out))
	s.stepsShown = true
}

// steps prints the steps of a plan, numbered.
func (u *ui) steps(p registration.Plan, width int) {
	for i, step := range p.Steps() {
		u.result("%s", wrap(step.Title+" ("+step.Who+")", fmt.Sprintf("%2d. ", i+1), width))
		for _, paragraph := range step.Text {
			u.result("%s", wrap(paragraph, "    ", width))
		}
		if len(step.Commands) > 0 {
			u.result("")
		}
		for _, command := range step.Commands {
			u.result("    %s", command) // not wrapped: it is to be copied
		}
		u.result("")
	}
}

// guides are the examples of setup --print.
var guides = []struct {
	title string
	setup setup
}{
	{"For a person, who signs in once", setup{
		Plan: registration.Plan{Cloud: "worldwide", Tenant: "contoso.onmicrosoft.com", Mailboxes: []string{"alice@contoso.com"}, Access: registration.Browser, Protocols: []string{config.IMAP, config.SMTP}},
		user: "alice@contoso.com",
	}},
	{"For an application by itself, such as scanners", setup{
		Plan: registration.Plan{Cloud: "worldwide", Tenant: "contoso.onmicrosoft.com", Mailboxes: []string{"scanner@contoso.com"}, Access: registration.Secret, Protocols: []string{config.IMAP, config.POP3, config.SMTP}},
		user: "copier1", secretFile: "client.secret", isDevice: true,
	}},
	{"For an application that sends, by the newer role", setup{
		Plan: registration.Plan{Cloud: "worldwide", Tenant: "contoso.onmicrosoft.com", Mailboxes: []string{"scanner@contoso.com"}, Access: registration.Secret, Protocols: []string{config.SMTP}, MailRole: true},
		user: "copier1", secretFile: "client.secret", isDevice: true,
	}},
}

// printGuide prints what setup would tell, with examples of all that is asked.
func (u *ui) printGuide() {
	width := widthOf(u.out)
	prose := func(text string) { u.result("%s\n", wrap(text, "", width)) }
	prose("From nothing to a mailbox that works: what is to be done at Microsoft, and a configuration. Replace what is of contoso.com, and the IDs. On a terminal, \"oauthproxy setup\" asks for them and does that for you.")
	prose("The steps follow Microsoft's documentation of November 2026. The names in the portals change from time to time. What is changed in Entra ID and Exchange can take up to two hours to spread.")
	for _, g := range guides {
		g.setup.host, g.setup.tls = "127.0.0.1", config.None
		u.result("%s\n%s\n", g.title, strings.Repeat("=", len(g.title)))
		u.steps(g.setup.Plan, width)
		u.result("The configuration, config.yaml:\n")
		g.setup.ClientID = "66666666-7777-8888-9999-000000000000"
		u.result("%s", indent(g.setup.yaml("the line that oauthproxy passwd prints")))
	}
	prose("Then: oauthproxy passwd --generate makes a password for the mail program, and its line. oauthproxy serve runs the proxy. The clients connect to 127.0.0.1: IMAP on port 1143, POP3 on port 1110, SMTP on port 1587, without encryption, by \"normal password\".")
	for _, g := range guides {
		for _, script := range g.setup.Scripts() {
			title := script.Name + ": " + strings.ToLower(g.title[:1]) + g.title[1:]
			u.result("%s\n%s\n", title, strings.Repeat("-", len(title)))
			u.result("%s", indent(script.Text))
		}
	}
}

// indent sets a file off from the prose around it.
func indent(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if line != "" {
			lines[i] = "    " + line
		}
	}
	return strings.Join(lines, "\n")
}

func (s *setup) sends() bool { return slices.Contains(s.Protocols, config.SMTP) }

// quoted writes values for a list in YAML.
func quoted(values []string) string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = strconv.Quote(v)
	}
	return strings.Join(all, ", ")
}

func joinPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

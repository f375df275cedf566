package registration

import (
	"cmp"
	"fmt"
	"strings"
)

// Step is something to do at Microsoft.
type Step struct {
	Title    string
	Who      string   // can do it
	Text     []string // paragraphs
	Commands []string // each a line: PowerShell, and that of a key pair
}

// Who can do a step.
const (
	byEntra    = "administrator of Entra ID"
	byExchange = "administrator of Exchange"
	byPerson   = "the person"
)

// Steps returns what is to be done, in order. In portals the parts of a path
// are separated by ">".
func (p Plan) Steps() []Step {
	all := []Step{p.register(), p.prove()}
	if !p.MailRole {
		all = append(all, p.permit())
	}
	if !p.Access.HasPerson() {
		all = append(all, p.objectID())
	}
	all = append(all, p.openMailbox())
	return append(all, p.atLast())
}

func (p Plan) register() Step {
	s := Step{Title: "Register the application", Who: byEntra, Text: []string{
		p.cloud().adminCenter + " > App registrations > New registration. Name: oauthproxy. Supported account types: accounts in this organizational directory only. No redirect URI yet. Register.",
		"From its Overview, note the Application (client) ID and the Directory (tenant) ID.",
	}}
	if p.ClientID != "" {
		s.Text = append(s.Text, "You have that already, as "+p.ClientID+": look whether the rest is as below.")
	}
	return s
}

// prove sets up how the application shows that it is itself.
func (p Plan) prove() Step {
	switch p.Access {
	case Browser:
		return Step{"Let it sign people in with the browser", byEntra, []string{
			"In the registration: Authentication > Add a platform (Add Redirect URI) > Mobile and desktop applications. Redirect URI: http://localhost (exactly so, without a port). Save.",
		}, nil}
	case DeviceCode:
		return Step{"Let it sign people in with a code", byEntra, []string{
			"In the registration: Authentication > Settings (Advanced settings) > Allow public client flows: Yes. Save.",
			"Many organizations block sign-ins with a code by Conditional Access (error AADSTS530036, 53003): then use the browser.",
		}, nil}
	case Certificate:
		return Step{"Give it the certificate", byEntra, []string{
			"In the registration: Certificates & secrets > Certificates > Upload certificate. Upload the public part alone, app.crt; the key stays with oauthproxy. Any RSA key does. To make a pair, for two years, in the configuration's folder:",
		}, []string{KeyCommand("app.key", "app.crt")}}
	default:
		return Step{"Make a client secret", byEntra, []string{
			"In the registration: Certificates & secrets > Client secrets > New client secret. Copy the Value at once: it isn't shown again. (Not the Secret ID: with that, Entra ID answers AADSTS7000215.)",
			"It ends after 24 months at most. Note the day.",
		}, nil}
	}
}

// KeyCommand makes a key and its certificate, for two years. The files are
// written as a shell wants them.
func KeyCommand(key, certificate string) string {
	return "openssl req -x509 -newkey rsa:3072 -noenc -days 730 -subj /CN=oauthproxy -keyout " + key + " -out " + certificate
}

// permit gives the permissions in Entra ID, and the consent.
func (p Plan) permit() Step {
	s := Step{Title: "Give it the permissions, and consent", Who: byEntra}
	names := strings.Join(p.Permissions(), ", ")
	if p.Access.HasPerson() {
		s.Text = []string{
			"In the registration: API permissions > Add a permission > Microsoft Graph > Delegated permissions: " + names + ".",
			"Then: Grant admin consent. Without it each person is asked at the first sign-in, where the organization allows that.",
		}
		return s
	}
	s.Text = []string{
		"In the registration: API permissions > Add a permission > APIs my organization uses > Office 365 Exchange Online > Application permissions: " + names + ". (Not Microsoft Graph, and not delegated permissions: they make tokens that Exchange refuses here.)",
		"Then: Grant admin consent. By these permissions alone it can't open any mailbox yet.",
	}
	return s
}

// objectID finds the ID that Exchange wants.
func (p Plan) objectID() Step {
	return Step{"Note the enterprise application's Object ID", byEntra, []string{
		p.cloud().adminCenter + " > Enterprise applications (not App registrations) > oauthproxy. Its Object ID is another one than that of the app registration; with the wrong one, Exchange refuses every login.",
	}, nil}
}

// openMailbox is everything in Exchange.
func (p Plan) openMailbox() Step {
	s := Step{Title: "Open the mailbox", Who: byExchange, Commands: p.Commands(), Text: []string{"In Exchange Online PowerShell:"}}
	if p.Access.HasPerson() && p.SignInAs == "" {
		s.Title = "Switch the protocols on"
	}
	var parts []string
	for _, part := range p.exchange("", "") {
		parts = append(parts, part.about)
	}
	s.Text[0] = "In Exchange Online PowerShell: " + strings.Join(parts, "; ") + "."
	if p.speaks(SMTP) {
		s.Text = append(s.Text, "SMTP AUTH is off in organizations made since January 2020, for OAuth2 too. The command switches it on for this one address.")
	}
	switch {
	case p.MailRole:
		s.Text = append(s.Text, "Don't give the application the permission SMTP.SendAsApp in Entra ID besides: it brings the check of FullAccess back.")
	case !p.Access.HasPerson() && p.speaks(SMTP):
		s.Text = append(s.Text, "SMTP needs FullAccess too, as others report: without it Exchange accepts the login and refuses each message, 430 4.2.0 STOREDRV.")
	}
	return s
}

// atLast is what remains when the administrators are done.
func (p Plan) atLast() Step {
	if p.Access.HasPerson() {
		person := cmp.Or(p.SignInAs, p.Mailboxes[0])
		return Step{"Sign in, once", byPerson, []string{
			fmt.Sprintf("Run oauthproxy login for %s and sign in as %s. Changes in Exchange can take up to two hours to spread: until then it gives the old answer.", p.Mailboxes[0], person),
		}, nil}
	}
	return Step{"Wait", "you", []string{
		"Up to two hours: until the changes have spread, Exchange gives the old answer. A refusal before that proves nothing.",
	}, nil}
}

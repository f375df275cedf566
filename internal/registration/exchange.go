package registration

import (
	"cmp"
	"fmt"
	"strings"
)

// placeholder names of what only the tenant tells.
const (
	someClientID = "APPLICATION-CLIENT-ID"
	someObjectID = "OBJECT-ID-OF-THE-ENTERPRISE-APPLICATION"
)

// part is some commands for Exchange Online PowerShell, and what they are for.
type part struct {
	about string
	lines []string
}

// exchange returns all commands for Exchange. Its arguments are literals or
// variables of PowerShell.
func (p Plan) exchange(clientID, objectID string) []part {
	var all []part
	if !p.Access.HasPerson() {
		all = append(all, principal(clientID, objectID))
		if p.MailRole {
			all = append(all, p.role())
		} else {
			all = append(all, p.fullAccess())
		}
	}
	if p.SignInAs != "" {
		all = append(all, p.delegate())
	}
	return append(all, p.protocols())
}

// principal makes the application known to Exchange.
func principal(clientID, objectID string) part {
	return part{"make the application known to Exchange, once", []string{
		fmt.Sprintf("$principal = Get-ServicePrincipal | Where-Object AppId -eq %s", clientID),
		fmt.Sprintf("if (-not $principal) { $principal = New-ServicePrincipal -AppId %s -ObjectId %s -DisplayName oauthproxy }", clientID, objectID),
		// Microsoft's page on Set-ServicePrincipal: a wrong one can't be changed.
		fmt.Sprintf("if ($principal.ObjectId -ne %s) { Write-Warning 'Exchange knows the application by another Object ID: Remove-ServicePrincipal, and begin again' }", objectID),
	}}
}

// fullAccess gives the application the mailboxes.
func (p Plan) fullAccess() part {
	f := part{about: "let the application into the mailbox, and into no other"}
	for _, mailbox := range p.Mailboxes {
		f.lines = append(f.lines, fmt.Sprintf("Add-MailboxPermission -Identity %s -User $principal.Identity -AccessRights FullAccess -AutoMapping $false", quote(mailbox)))
	}
	return f
}

// role lets the application send as the mailboxes: RBAC for Applications.
func (p Plan) role() part {
	var terms []string
	for _, mailbox := range p.Mailboxes {
		terms = append(terms, "PrimarySmtpAddress -eq "+filterValue(mailbox))
	}
	r := part{"let the application send as the mailbox, and as no other", []string{
		"New-ManagementScope -Name 'oauthproxy senders' -RecipientRestrictionFilter " + quote(strings.Join(terms, " -or ")),
		"New-ManagementRoleAssignment -Name 'oauthproxy SMTP' -App $principal.ObjectId -Role 'Application SMTP.SendAsApp' -CustomResourceScope 'oauthproxy senders'",
	}}
	for _, mailbox := range p.Mailboxes {
		r.lines = append(r.lines, "Test-ServicePrincipalAuthorization -Identity $principal.ObjectId -Resource "+quote(mailbox))
	}
	return r
}

// delegate gives a person the shared mailbox.
func (p Plan) delegate() part {
	d := part{about: "give the person who signs in the shared mailbox"}
	for _, mailbox := range p.Mailboxes {
		if p.reads() {
			d.lines = append(d.lines, fmt.Sprintf("Add-MailboxPermission -Identity %s -User %s -AccessRights FullAccess -AutoMapping $false", quote(mailbox), quote(p.SignInAs)))
		}
		if p.speaks(SMTP) {
			d.lines = append(d.lines, fmt.Sprintf("Add-RecipientPermission -Identity %s -Trustee %s -AccessRights SendAs -Confirm:$false", quote(mailbox), quote(p.SignInAs)))
		}
	}
	return d
}

// protocols switches the protocols on, for these mailboxes alone.
func (p Plan) protocols() part {
	s := part{about: "switch the protocols on for the mailbox"}
	switches := ""
	if p.speaks(IMAP) {
		switches += " -ImapEnabled $true"
	}
	if p.speaks(POP3) {
		switches += " -PopEnabled $true"
	}
	for _, mailbox := range p.Mailboxes {
		if switches != "" {
			s.lines = append(s.lines, "Set-CASMailbox -Identity "+quote(mailbox)+switches)
		}
	}
	for _, mailbox := range p.senders() {
		if p.speaks(SMTP) {
			s.lines = append(s.lines, "Set-CASMailbox -Identity "+quote(mailbox)+" -SmtpClientAuthenticationDisabled $false")
		}
	}
	return s
}

// connectExchange signs the administrator in.
func (p Plan) connectExchange() string {
	if environment := p.cloud().exchange; environment != "" {
		return "Connect-ExchangeOnline -ExchangeEnvironmentName " + environment
	}
	return "Connect-ExchangeOnline"
}

// Commands returns the commands for Exchange Online PowerShell, each a line,
// with placeholders for what isn't known.
func (p Plan) Commands() []string {
	all := []string{"Install-Module ExchangeOnlineManagement -Scope CurrentUser", p.connectExchange()}
	for _, part := range p.exchange(quote(cmp.Or(p.ClientID, someClientID)), quote(someObjectID)) {
		all = append(all, part.lines...)
	}
	return all
}

package registration

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	clientID = "66666666-7777-8888-9999-000000000000"
	tenant   = "contoso.onmicrosoft.com"
)

// plans are one of each kind.
var plans = map[string]Plan{
	"person, browser":  {Cloud: worldwide, Tenant: tenant, ClientID: clientID, Mailboxes: []string{"alice@contoso.com"}, Access: Browser, Protocols: []string{IMAP, POP3, SMTP}},
	"person, code":     {Cloud: worldwide, Mailboxes: []string{"alice@contoso.com"}, Access: DeviceCode, Protocols: []string{IMAP, SMTP}},
	"shared mailbox":   {Cloud: "gcc-high", Tenant: tenant, Mailboxes: []string{"info@contoso.com"}, SignInAs: "alice@contoso.com", Access: Browser, Protocols: []string{IMAP, SMTP}},
	"shared, SMTP":     {Cloud: worldwide, Mailboxes: []string{"info@contoso.com"}, SignInAs: "alice@contoso.com", Access: Browser, Protocols: []string{SMTP}},
	"application":      {Cloud: worldwide, Tenant: tenant, ClientID: clientID, Mailboxes: []string{"scanner@contoso.com"}, Access: Secret, Protocols: []string{IMAP, POP3, SMTP}},
	"certificate":      {Cloud: "china", Tenant: tenant, Mailboxes: []string{"scanner@contoso.com"}, Access: Certificate, Protocols: []string{IMAP}},
	"role":             {Cloud: worldwide, Tenant: tenant, Mailboxes: []string{"o'brien@contoso.com", "b@contoso.com"}, Access: Secret, Protocols: []string{SMTP}, MailRole: true},
	"hostile names":    {Cloud: "dod", Mailboxes: []string{"a'$(whoami)’;`\"@contoso.com"}, Access: Secret, Protocols: []string{POP3, SMTP}},
	"unheard-of cloud": {Cloud: "moon", Mailboxes: []string{"a@contoso.com"}, Access: DeviceCode, Protocols: []string{POP3}},
}

// script returns one of a plan's scripts.
func script(t *testing.T, p Plan, name string) string {
	t.Helper()
	for _, s := range p.Scripts() {
		if s.Name == name {
			return s.Text
		}
	}
	t.Fatalf("there is no %s", name)
	return ""
}

// stepsText is all that is said and typed.
func stepsText(p Plan) string {
	var b strings.Builder
	for _, s := range p.Steps() {
		b.WriteString(s.Title + "\n" + strings.Join(s.Text, "\n") + "\n" + strings.Join(s.Commands, "\n") + "\n")
	}
	return b.String()
}

func TestWhatAPlanNeeds(t *testing.T) {
	tests := []struct {
		plan               string
		has                []string // in the steps
		entra, exchange    []string // in the scripts
		lacks, scriptLacks []string
	}{
		{
			plan:        "person, browser",
			has:         []string{"http://localhost", "Microsoft Graph > Delegated permissions: IMAP.AccessAsUser.All, POP.AccessAsUser.All, SMTP.Send, offline_access.", "oauthproxy login for alice@contoso.com"},
			entra:       []string{"-TenantId 'contoso.onmicrosoft.com'", "Get-MgApplication -Filter \"appId eq '" + clientID + "'\"", "RedirectUris", "Oauth2PermissionScopes", "New-MgOauth2PermissionGrant", "00000003-0000-0000-c000-000000000000"},
			exchange:    []string{"Set-CASMailbox -Identity 'alice@contoso.com' -ImapEnabled $true -PopEnabled $true", "Set-CASMailbox -Identity 'alice@contoso.com' -SmtpClientAuthenticationDisabled $false"},
			lacks:       []string{"FullAccess", "New-ServicePrincipal", "client secret", "Enterprise applications"},
			scriptLacks: []string{"New-MgApplication", "AppRole", "IsFallbackPublicClient", "Add-MgApplicationPassword", "ObjectId", "FullAccess"},
		},
		{
			plan:        "person, code",
			has:         []string{"Allow public client flows"},
			entra:       []string{"New-MgApplication @settings", "SignInAudience = 'AzureADMyOrg'", "IsFallbackPublicClient = $true", "Type = 'Scope'"},
			lacks:       []string{"http://localhost", "POP"},
			scriptLacks: []string{"-TenantId", "http://localhost", "PopEnabled"},
		},
		{
			plan:     "shared mailbox",
			has:      []string{"https://entra.microsoft.us"},
			entra:    []string{"-Environment USGov "},
			exchange: []string{"-ExchangeEnvironmentName O365USGovGCCHigh", "Add-MailboxPermission -Identity 'info@contoso.com' -User 'alice@contoso.com' -AccessRights FullAccess", "Add-RecipientPermission -Identity 'info@contoso.com' -Trustee 'alice@contoso.com' -AccessRights SendAs", "Set-CASMailbox -Identity 'info@contoso.com' -ImapEnabled $true", "Set-CASMailbox -Identity 'alice@contoso.com' -SmtpClientAuthenticationDisabled $false"},
		},
		{plan: "shared, SMTP", lacks: []string{"FullAccess"}, exchange: []string{"Add-RecipientPermission"}},
		{
			plan:        "application",
			has:         []string{"Office 365 Exchange Online > Application permissions: IMAP.AccessAsApp, POP.AccessAsApp, SMTP.SendAsApp.", "Enterprise applications (not App registrations)", "AADSTS7000215", "p to two hours", "New-ServicePrincipal -AppId '" + clientID + "' -ObjectId 'OBJECT-ID-OF-THE-ENTERPRISE-APPLICATION'"},
			entra:       []string{"00000002-0000-0ff1-ce00-000000000000", "New-MgServicePrincipalAppRoleAssignment", "Type = 'Role'"},
			exchange:    []string{"[Parameter(Mandatory)] [guid] $ObjectId", "[guid] $ClientId = '" + clientID + "'", "New-ServicePrincipal -AppId $ClientId -ObjectId $ObjectId -DisplayName oauthproxy", "Add-MailboxPermission -Identity 'scanner@contoso.com' -User $principal.Identity -AccessRights FullAccess -AutoMapping $false"},
			lacks:       []string{"http://localhost", "public client flows"},
			scriptLacks: []string{"New-MgOauth2PermissionGrant", "ManagementScope", "Add-MgApplicationPassword"}, // it may have one
		},
		{
			plan:        "certificate",
			has:         []string{"Upload certificate", "https://entra.microsoftonline.cn"},
			entra:       []string{"-Environment China ", "upload the certificate"},
			exchange:    []string{"-ExchangeEnvironmentName O365China", "[Parameter(Mandatory)] [guid] $ClientId"},
			scriptLacks: []string{"Add-MgApplicationPassword", "SmtpClientAuthentication"},
		},
		{
			plan:        "role",
			has:         []string{"Don't give the application the permission SMTP.SendAsApp"},
			entra:       []string{"No permission is given here on purpose", "Add-MgApplicationPassword"},
			exchange:    []string{`-RecipientRestrictionFilter 'PrimarySmtpAddress -eq ''o''''brien@contoso.com'' -or PrimarySmtpAddress -eq ''b@contoso.com'''`, "-Role 'Application SMTP.SendAsApp' -CustomResourceScope 'oauthproxy senders'", "Test-ServicePrincipalAuthorization"},
			lacks:       []string{"API permissions", "Add-MailboxPermission"},
			scriptLacks: []string{"RequiredResourceAccess", "AppRoleAssignment -", "Add-MailboxPermission"},
		},
		{plan: "hostile names", entra: []string{"USGovDoD"}, exchange: []string{"O365USGovDoD", "-Identity 'a''$(whoami)’’;`\"@contoso.com'"}},
		{plan: "unheard-of cloud", has: []string{"https://entra.microsoft.com"}, entra: []string{"-Environment Global "}, exchange: []string{"\nConnect-ExchangeOnline\n"}},
	}
	for _, test := range tests {
		t.Run(test.plan, func(t *testing.T) {
			p, ok := plans[test.plan]
			if !ok {
				t.Fatal("no such plan")
			}
			steps, entra, exchange := stepsText(p), script(t, p, "setup-entra.ps1"), script(t, p, "setup-exchange.ps1")
			contains(t, "the steps", steps, test.has, true)
			contains(t, "the steps", steps, test.lacks, false)
			contains(t, "setup-entra.ps1", entra, test.entra, true)
			contains(t, "setup-exchange.ps1", exchange, test.exchange, true)
			contains(t, "the scripts", entra+exchange, test.scriptLacks, false)
		})
	}
}

func contains(t *testing.T, where, text string, parts []string, want bool) {
	t.Helper()
	for _, part := range parts {
		if strings.Contains(text, part) != want {
			t.Errorf("%s: %q is there: %v\n%s", where, part, !want, text)
		}
	}
}

// TestScriptsAreClean: no template shows through, no line has blanks at its
// end, and no two empty lines follow each other.
func TestScriptsAreClean(t *testing.T) {
	unclean := regexp.MustCompile(`\{\{|\}\}\n|<no value>|[ \t]\n|\n\n\n|\n\n$`)
	for name, p := range plans {
		for _, s := range p.Scripts() {
			if at := unclean.FindStringIndex(s.Text); at != nil || !strings.HasSuffix(s.Text, "\n") {
				t.Errorf("%s, %s, at %v:\n%s", name, s.Name, at, s.Text)
			}
		}
	}
}

// TestScriptsSayWhatTheStepsSay: who types the commands gets what who runs the
// script gets.
func TestScriptsSayWhatTheStepsSay(t *testing.T) {
	for name, p := range plans {
		exchange := script(t, p, "setup-exchange.ps1")
		for _, line := range p.Commands() {
			switch {
			case strings.HasPrefix(line, "Install-Module"): // where it isn't installed
				continue
			case strings.Contains(line, "$principal = ") || strings.Contains(line, "-ne "):
				line = strings.NewReplacer(quote(cmp.Or(p.ClientID, someClientID)), "$ClientId", quote(someObjectID), "$ObjectId").Replace(line)
			}
			if !slices.Contains(strings.Split(exchange, "\n"), line) {
				t.Errorf("%s: the script lacks %q", name, line)
			}
		}
	}
}

func TestMailRole(t *testing.T) {
	can := Plan{Cloud: worldwide, Access: Secret, Protocols: []string{SMTP}}
	if !can.CanUseMailRole() {
		t.Error("an application that sends can't")
	}
	for name, change := range map[string]func(*Plan){
		"another cloud":   func(p *Plan) { p.Cloud = "gcc-high" },
		"a person":        func(p *Plan) { p.Access = Browser },
		"mail is read":    func(p *Plan) { p.Protocols = []string{IMAP, SMTP} },
		"it doesn't send": func(p *Plan) { p.Protocols = []string{IMAP} },
	} {
		cannot := can
		change(&cannot)
		if cannot.CanUseMailRole() {
			t.Errorf("%s: it can", name)
		}
	}
}

package config

// cloud is one of Microsoft's clouds: where its Entra ID and its Exchange
// Online are.
type cloud struct {
	authority        string // to which /tenant is added
	resource         string // of a scope, for an application itself
	delegated        string // of a scope, for a person
	imap, pop3, smtp string // host:port
}

const worldwide = "worldwide"

// clouds are from Microsoft's lists of endpoints (November 2026). The scopes of
// dod are disputed: some programs use those of gcc-high there.
var clouds = map[string]cloud{
	worldwide: {
		authority: "https://login.microsoftonline.com",
		resource:  "https://outlook.office365.com",
		delegated: "https://outlook.office.com",
		imap:      "outlook.office365.com:993",
		pop3:      "outlook.office365.com:995",
		smtp:      "smtp.office365.com:587",
	},
	"gcc-high": {
		authority: "https://login.microsoftonline.us",
		resource:  "https://outlook.office365.us",
		delegated: "https://outlook.office365.us",
		imap:      "outlook.office365.us:993",
		pop3:      "outlook.office365.us:995",
		smtp:      "smtp.office365.us:587",
	},
	"dod": {
		authority: "https://login.microsoftonline.us",
		resource:  "https://outlook-dod.office365.us",
		delegated: "https://outlook-dod.office365.us",
		imap:      "outlook-dod.office365.us:993",
		pop3:      "outlook-dod.office365.us:995",
		smtp:      "outlook-dod.office365.us:587",
	},
	"china": {
		authority: "https://login.partner.microsoftonline.cn",
		resource:  "https://partner.outlook.cn",
		delegated: "https://partner.outlook.cn",
		imap:      "partner.outlook.cn:993",
		pop3:      "partner.outlook.cn:995",
		smtp:      "smtp.partner.outlook.cn:587",
	},
}

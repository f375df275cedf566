package config

// cloud is one of Microsoft's clouds: where its Entra ID and its Exchange
// Online are.
type cloud struct {
	authority        string // to which /tenant is added
	scope            string // for a token of an application of its own
	imap, pop3, smtp string // host:port
}

const worldwide = "worldwide"

// clouds are from Microsoft's lists of endpoints (November 2026). The scope of
// dod is disputed: some programs use that of gcc-high there.
var clouds = map[string]cloud{
	worldwide: {
		authority: "https://login.microsoftonline.com",
		scope:     "https://outlook.office365.com/.default",
		imap:      "outlook.office365.com:993",
		pop3:      "outlook.office365.com:995",
		smtp:      "smtp.office365.com:587",
	},
	"gcc-high": {
		authority: "https://login.microsoftonline.us",
		scope:     "https://outlook.office365.us/.default",
		imap:      "outlook.office365.us:993",
		pop3:      "outlook.office365.us:995",
		smtp:      "smtp.office365.us:587",
	},
	"dod": {
		authority: "https://login.microsoftonline.us",
		scope:     "https://outlook-dod.office365.us/.default",
		imap:      "outlook-dod.office365.us:993",
		pop3:      "outlook-dod.office365.us:995",
		smtp:      "outlook-dod.office365.us:587",
	},
	"china": {
		authority: "https://login.partner.microsoftonline.cn",
		scope:     "https://partner.outlook.cn/.default",
		imap:      "partner.outlook.cn:993",
		pop3:      "partner.outlook.cn:995",
		smtp:      "smtp.partner.outlook.cn:587",
	},
}

package admin

import (
	"time"

	"oauthproxy/proxy"
	"oauthproxy/proxy/smtp"
	"oauthproxy/tokens"
)

// Figures are what a running service measures. Names in them are those of the
// configuration, or stand in closed lists: their number is bounded.
type Figures struct {
	Version      string
	IsReady      bool
	Protocols    []proxy.Figures
	Accounts     []AccountFigures
	Certificates []Certificate
}

// AccountFigures are those of an account.
type AccountFigures struct {
	Token tokens.Figures
	Crowd proxy.Crowd // of its SMTP connections
	Usage smtp.Usage
}

// Certificate is one with an end: a listener's, or that of an app.
type Certificate struct {
	Of   string // listener or app
	Name string // the listener's address, or the app's name
	Left time.Duration
}

package admin

import (
	"context"
	"errors"
	"time"
)

// Status is what the running service does at one moment.
type Status struct {
	Version string    `json:"version"`
	PID     int       `json:"pid"`
	Since   time.Time `json:"since"`
	// Loaded is when the configuration was read.
	Loaded    time.Time  `json:"loaded"`
	Listeners []Listener `json:"listeners"`
	// Sessions are all, the oldest first.
	Sessions  []Session        `json:"sessions"`
	Accounts  []AccountSummary `json:"accounts"`
	Mailboxes []Mailbox        `json:"mailboxes"`
	// Warnings tell in plain words what somebody should see to.
	Warnings []string `json:"warnings"`
}

// Listener is an open port.
type Listener struct {
	Protocol string `json:"protocol"`
	// Address is where it listens.
	Address  string `json:"address"`
	TLS      string `json:"tls"`
	Sessions int    `json:"sessions"`
}

// Session is a client's connection. Login and account are empty before the
// client is verified.
type Session struct {
	ID        string    `json:"id"`
	Protocol  string    `json:"protocol"`
	Client    string    `json:"client"`
	TLS       string    `json:"tls"`
	Login     string    `json:"login,omitempty"`
	Account   string    `json:"account,omitempty"`
	Since     time.Time `json:"since"`
	LoggedIn  bool      `json:"logged_in"`
	Phase     string    `json:"phase"`
	BytesUp   int64     `json:"bytes_up"`
	BytesDown int64     `json:"bytes_down"`
}

// AccountSummary is an Account in short.
type AccountSummary struct {
	Account      string    `json:"account"`
	State        string    `json:"state"`
	TokenExpires time.Time `json:"token_expires,omitzero"`
	Next         string    `json:"next,omitempty"`
}

// Mailbox is what a mailbox's sessions share: the connections that SMTP keeps
// for it, and what it has sent. A limit of 0 is none.
type Mailbox struct {
	Account string `json:"account"`
	// Open counts the connections, Kept those of them that nobody uses,
	// Waiting the clients that wait for one or for their message's turn.
	Open    int `json:"open"`
	Kept    int `json:"kept"`
	Waiting int `json:"waiting"`
	// Messages count against the limit of a minute, Recipients are those of
	// the last 24 hours.
	Messages          int `json:"messages"`
	MessagesPerMinute int `json:"messages_per_minute"`
	Recipients        int `json:"recipients"`
	RecipientsPerDay  int `json:"recipients_per_day"`
}

// Status asks the service what it does.
func (c *Client) Status(ctx context.Context) (Status, error) {
	got, err := c.do(ctx, request{Command: status}, nil, nil)
	if err == nil && got.Status == nil {
		err = errors.New("the service didn't say what it does")
	}
	if err != nil {
		return Status{}, err
	}
	return *got.Status, nil
}

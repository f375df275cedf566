package main

import (
	"fmt"
	"strings"
	"time"

	"oauthproxy/admin"
)

// statusText is the status for people, in lines that aren't wider than width as
// far as that can be, with so many sessions at most.
func statusText(s admin.Status, width, most int) string {
	var b strings.Builder
	fmt.Fprintln(&b, wrap(fmt.Sprintf("oauthproxy %s, process %d, up since %s (%s), configuration of %s",
		s.Version, s.PID, clock(s.Since), span(time.Since(s.Since)), clock(s.Loaded)), "", width))
	for _, warning := range s.Warnings {
		fmt.Fprintln(&b, wrap(printable(warning), "warning: ", width))
	}
	b.WriteString("\n" + listenerTable(s.Listeners).text(width))
	b.WriteString("\n" + accountSummary(s.Accounts).text(width))
	if len(s.Mailboxes) > 0 {
		b.WriteString("\n" + mailboxTable(s.Mailboxes).text(width))
	}
	if len(s.Sessions) == 0 {
		b.WriteString("\nno sessions\n")
		return strings.TrimSuffix(b.String(), "\n")
	}
	shown := s.Sessions[:min(len(s.Sessions), most)]
	b.WriteString("\n" + sessionTable(shown).text(width))
	if more := len(s.Sessions) - len(shown); more > 0 {
		fmt.Fprintln(&b, wrap(fmt.Sprintf("and %d more; all are in: oauthproxy status --json", more), "", width))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func listenerTable(all []admin.Listener) table {
	t := table{columns: []column{{title: "LISTENER"}, {title: "ADDRESS", least: 12}, {title: "TLS"}, {title: "SESSIONS", right: true}}}
	for _, l := range all {
		t.add(l.Protocol, l.Address, l.TLS, fmt.Sprint(l.Sessions))
	}
	return t
}

func accountSummary(all []admin.AccountSummary) table {
	t := table{columns: []column{{title: "ACCOUNT", least: 12}, {title: "STATE", least: 8}, {title: "TOKEN UNTIL"}, {title: "NEXT", least: 8, optional: true}}}
	for _, a := range all {
		next := a.Next
		if next == "" {
			next = "-"
		}
		t.add(a.Account, a.State, clock(a.TokenExpires), next)
	}
	return t
}

func mailboxTable(all []admin.Mailbox) table {
	t := table{columns: []column{{title: "SMTP MAILBOX", least: 12}, {title: "OPEN", right: true}, {title: "KEPT", right: true},
		{title: "WAITING", right: true}, {title: "MSG/MIN", right: true}, {title: "RCPT/DAY", right: true}}}
	for _, m := range all {
		t.add(m.Account, fmt.Sprint(m.Open), fmt.Sprint(m.Kept), fmt.Sprint(m.Waiting),
			against(m.Messages, m.MessagesPerMinute), against(m.Recipients, m.RecipientsPerDay))
	}
	return t
}

func sessionTable(all []admin.Session) table {
	t := table{columns: []column{{title: "ID"}, {title: "PROT"}, {title: "CLIENT", least: 9}, {title: "LOGIN", least: 6},
		{title: "MAILBOX", least: 8, optional: true}, {title: "FOR", right: true}, {title: "UP", right: true}, {title: "DOWN", right: true},
		{title: "STATE", least: 8}}}
	for _, s := range all {
		t.add(s.ID, s.Protocol, s.Client, orDash(s.Login), orDash(s.Account), span(time.Since(s.Since)), size(s.BytesUp), size(s.BytesDown), s.Phase)
	}
	return t
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// against is a count and its limit.
func against(n, limit int) string {
	if limit == 0 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d/%d", n, limit)
}

// span is a time that has passed, in its largest units.
func span(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 10*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	case d < 100*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours())/24)
}

// size is a number of bytes in four places and a unit at most.
func size(n int64) string {
	if n < 10_000 {
		return fmt.Sprint(n)
	}
	value := float64(n)
	for _, unit := range []string{"k", "M", "G", "T"} {
		if value /= 1000; value < 999.5 || unit == "T" {
			if value < 9.95 {
				return fmt.Sprintf("%.1f%s", value, unit)
			}
			return fmt.Sprintf("%.0f%s", value, unit)
		}
	}
	return ""
}

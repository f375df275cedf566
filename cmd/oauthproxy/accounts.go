package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"oauthproxy/admin"
)

// listAccounts shows how all accounts stand.
func listAccounts(ctx context.Context, args []string, u *ui) int {
	o := newOptions("accounts", u)
	asJSON := o.Bool("json", false, "print JSON, for programs")
	if _, status, ok := o.parse(args, 0); !ok {
		return status
	}
	c, status := o.control(ctx)
	if c == nil {
		return status
	}
	defer c.close()
	all, err := c.Accounts(ctx)
	if err != nil {
		return u.fail(err)
	}
	if *asJSON {
		text, err := json.MarshalIndent(all, "", "  ")
		if err != nil {
			return u.fail(err)
		}
		u.result("%s", text)
		return exitWell
	}
	u.result("%s", accountTable(all))
	if !c.isRunning {
		u.say("no service answers: this is what the store has")
	}
	return exitWell
}

// accountTable has a line for each account.
func accountTable(all []admin.Account) string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ACCOUNT\tFLOW\tSIGNED IN AS\tTOKEN UNTIL\tRENEWED\tCERTIFICATE UNTIL\tSTATE\tNEXT")
	for _, a := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", a.Account, cmp.Or(a.Flow, "-"), cmp.Or(a.SignedInAs, "-"),
			clock(a.TokenExpires), clock(a.RefreshedAt), clock(a.CredentialExpires), a.State, advice(a))
	}
	_ = t.Flush() // to memory
	for _, a := range all {
		for _, r := range a.Refusals {
			fmt.Fprintf(&b, "%s, %s, %s: %s%s\n", a.Account, r.Protocol, clock(r.At), r.Text, pause(r))
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// pause says until when the mail server isn't asked again.
func pause(r admin.Refusal) string {
	if !r.Until.After(time.Now()) {
		return ""
	}
	return "; not asked again until " + clock(r.Until)
}

// advice is what is wrong and what to do about it.
func advice(a admin.Account) string {
	switch {
	case a.Text == "":
		return cmp.Or(a.Next, "-")
	case a.Next == "":
		return a.Text
	}
	return a.Text + "; " + a.Next
}

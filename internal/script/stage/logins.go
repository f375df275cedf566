package stage

import (
	"net/netip"

	"golang.org/x/crypto/bcrypt"

	"oauthproxy/accounts"
)

// Mailboxes.
const (
	Mailbox       = "alice@contoso.example"
	DeviceMailbox = "scanner@contoso.example"
)

// Users and their passwords. The passwords are such that no piece of them
// stands in a log by chance.
const (
	User, Password             = Mailbox, "Zq8-fenk-Ruz!"
	QuotingUser, QuotedUser    = `per "q" \back`, `"per \"q\" \\back"`
	QuotingPassword            = `Kv"3 \wo7-Lumx`
	UmlautUser, UmlautPassword = "jürgen", "Grüße-Wy9q-Tolz"
	BlankUser, BlankPassword   = "two words", "  Wz4 rimp-Dox "
	Device, DevicePassword     = "copier", "Pn4-dosk-Viy"
	RuledDevice                = "kiosk" // with rules, and the device's password
	WrongPassword              = "Hx2-ubbo-Jyk-W"
)

// secrets must not be in a log.
var secrets = []string{Password, QuotingPassword, UmlautPassword, BlankPassword, DevicePassword, WrongPassword, tokenText}

var hashes = func() map[string]string {
	all := make(map[string]string)
	for _, password := range []string{Password, QuotingPassword, UmlautPassword, BlankPassword, DevicePassword} {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			panic(err)
		}
		all[password] = string(hash)
	}
	return all
}()

func logins(byAddress bool) []accounts.Account {
	people := accounts.Account{Mailbox: Mailbox, Logins: []accounts.Login{
		{User: User, PasswordHash: hashes[Password]},
		{User: QuotingUser, PasswordHash: hashes[QuotingPassword]},
		{User: UmlautUser, PasswordHash: hashes[UmlautPassword]},
		{User: BlankUser, PasswordHash: hashes[BlankPassword]},
	}}
	devices := accounts.Account{Mailbox: DeviceMailbox, Logins: []accounts.Login{
		{User: Device, PasswordHash: hashes[DevicePassword], Device: true},
		{User: RuledDevice, PasswordHash: hashes[DevicePassword], Sending: &accounts.Sending{
			Sender:               DeviceMailbox,
			AllowSenders:         []string{"kiosk@localhost", "@printers.example"},
			AllowRecipients:      []string{"@contoso.example"},
			MaxMessageSize:       1000,
			RecipientsPerMessage: 2,
			MessagesPerMinute:    2,
		}},
	}}
	if byAddress {
		loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		devices.Logins = append(devices.Logins, accounts.Login{Networks: loopback, Device: true})
	}
	return []accounts.Account{people, devices}
}

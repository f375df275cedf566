package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"oauthproxy/accounts"
	"oauthproxy/config"
	"oauthproxy/internal/registration"
	"oauthproxy/internal/wire"
)

func (s *setup) askCloud() {
	s.Cloud = choose(s.conversation, "Which of Microsoft's clouds is the organization in?",
		"Nearly all organizations are in the worldwide cloud, GCC of the US government too. Those of the others know it: they open https://entra.microsoft.us or https://entra.microsoftonline.cn to administer Entra ID.",
		option[string]{"worldwide", "worldwide (also GCC)"},
		option[string]{"gcc-high", "US government, GCC High"},
		option[string]{"dod", "US government, DoD"},
		option[string]{"china", "China, operated by 21Vianet"})
}

func (s *setup) askMailbox() {
	address := s.line(question{
		text:  "Which mailbox in Exchange Online is it?",
		label: "address",
		more:  "Its primary address, as the Exchange admin center shows it: with an alias, Exchange opens nothing. More mailboxes can be added to the configuration later.",
		check: checkAddress,
	})
	s.Mailboxes = []string{address}
}

func (s *setup) askAccess() {
	if !s.askPerson() {
		s.askApplication()
		return
	}
	s.Access = choose(s.conversation, "Where does the person sign in?",
		"With the browser, the sign-in comes back to this machine by itself; from another machine that takes an SSH port forward, or pasting an address. A code can be entered anywhere, but many organizations block that.",
		option[registration.Access]{registration.Browser, "in a browser on this machine"},
		option[registration.Access]{registration.DeviceCode, "with a code, in a browser on any machine"})
	isShared := s.confirm("Is it a shared mailbox, which somebody else signs in for?",
		"Nobody can sign in as a shared mailbox itself: a person does, who has the right to use it.", false)
	if !isShared {
		return
	}
	s.SignInAs = s.line(question{
		text: "Who signs in for it?", label: "address of the person",
		more: "The person's own address with Microsoft. What rights that person needs is told below.",
		check: func(answer string) (string, error) {
			address, err := checkAddress(answer)
			if err == nil && strings.EqualFold(address, s.mailbox()) {
				err = errors.New("that is the mailbox itself: name the person")
			}
			return address, err
		},
	})
}

func (s *setup) askPerson() bool {
	return choose(s.conversation, "Who opens it?",
		"If a person signs in, oauthproxy may use what that person may use, and the person signs in again when Microsoft wants it. An application needs nobody, and an administrator says which mailboxes it may open: that is for scanners, services and programs.",
		option[bool]{true, "a person, who signs in with Microsoft once"},
		option[bool]{false, "an application by itself: nobody signs in"})
}

func (s *setup) askApplication() {
	s.Access = choose(s.conversation, "How does the application show Microsoft that it is itself?",
		"A client secret is a password that Entra ID makes. It ends after two years at most, and whoever reads its file has it. A certificate's key never leaves this machine.",
		option[registration.Access]{registration.Secret, "with a client secret"},
		option[registration.Access]{registration.Certificate, "with a certificate"})
	s.isDevice = s.confirm("Are the clients printers, scanners or other machines?",
		"Their messages are then repaired where something is missing, and come from the mailbox's address: Exchange refuses others. What a person's mail program sends is never changed.", true)
}

func (s *setup) askProtocols() {
	preset := "imap, smtp"
	if s.isDevice {
		preset = "smtp"
	}
	answer := s.line(question{
		text: "Which protocols do the clients use? smtp sends; imap and pop3 read.", label: "imap, pop3, smtp", preset: preset,
		more:  "A mail program needs smtp and one of the others, nearly always imap. A scanner that sends needs smtp alone. all is all three.",
		check: checkProtocols,
	})
	if s.ended == nil {
		s.Protocols = strings.Split(answer, ", ")
	}
}

func (s *setup) askMailRole() {
	if !s.CanUseMailRole() {
		return
	}
	s.MailRole = choose(s.conversation, "How may the application send?",
		"The role is newer (since the end of 2025, worldwide cloud, SMTP alone) and gives no right to read. FullAccess is the older way, and needs a permission in Entra ID besides.",
		option[bool]{true, "by the role Application SMTP.SendAsApp, which lets it send and nothing else"},
		option[bool]{false, "by FullAccess to the mailbox, the older way"})
}

func (s *setup) askUser() {
	s.user = s.line(question{
		text:  "Which user name do the clients log in to oauthproxy with?",
		label: "user name", preset: s.mailbox(),
		more: "It is known to oauthproxy alone. Some devices take only short names, such as copier1.",
	})
}

func (s *setup) askPassword() {
	s.isGenerated = choose(s.conversation, "And with which password? It isn't that with Microsoft.",
		"It is for oauthproxy alone; the configuration keeps a hash of it. One that is made here has 13 small letters and digits, which can be typed on a copier's panel.",
		option[bool]{true, "make one; it is shown at the end, once"},
		option[bool]{false, "I type one"})
	if s.ended != nil {
		return
	}
	if s.isGenerated {
		s.password, _, s.ended = accounts.Generate()
		return
	}
	for s.ended == nil && s.password.IsEmpty() {
		first, second := s.unseen("password"), s.unseen("the same again")
		switch {
		case s.ended != nil:
		case first != second:
			s.tell("The two differ: try again.")
		case first == "" || len(first) > maxPassword:
			s.tell(fmt.Sprintf("That won't do: it takes 1 to %d bytes.", maxPassword))
		default:
			s.password = wire.NewSecret(first)
		}
	}
}

func (s *setup) askRegistration() {
	for s.ended == nil && s.Tenant == "" {
		s.Tenant = s.line(question{
			text:  "Which is the organization's directory in Entra ID? Its Directory (tenant) ID, or one of its domains. If oauthproxy isn't registered there as an application yet, just press Enter.",
			label: "tenant", check: optional(checkTenant),
			more: "The app registration's Overview shows the Directory (tenant) ID. A domain such as contoso.onmicrosoft.com does as well.",
		})
		if s.Tenant == "" && s.ended == nil {
			s.registerFirst()
		}
	}
	for s.ended == nil && s.ClientID == "" {
		s.ClientID = s.line(question{
			text: "Which is the Application (client) ID of the registration? If there is none yet, just press Enter.", label: "client ID",
			check: optional(checkClientID), more: "The app registration's Overview in Entra ID shows it.",
		})
		if s.ClientID == "" && s.ended == nil {
			s.registerFirst()
		}
	}
}

// registerFirst tells what is to be done at Microsoft before the conversation
// can go on.
func (s *setup) registerFirst() {
	if !s.stepsShown {
		s.showSteps()
		s.offerScripts()
		s.tell("", "When the application is registered, answer the question below. This waits for as long as it takes.")
		return
	}
	s.tell("It is needed for the configuration. The steps are above; Ctrl-C ends this, and writes nothing.")
}

func (s *setup) askWhatNext() {
	if s.file == "" {
		return
	}
	if s.Access.HasPerson() {
		s.signIn = s.confirm("Sign in with Microsoft as soon as the files are written?",
			"The sign-in works when the application is registered. It can be done at any time, with: oauthproxy login "+s.mailbox(), s.stepsShown || s.ClientID != "")
	}
	// Without its secret or certificate there is nothing to check yet.
	if s.ended == nil && (s.Access.HasPerson() || s.hasSecret) {
		s.check = s.confirm("Then check whether everything works?", "oauthproxy check tries every step to the mailbox, and says what is wrong.", true)
	}
}

// checkProtocols returns the protocols in one order, parted by commas.
func checkProtocols(answer string) (string, error) {
	known := []string{config.IMAP, config.POP3, config.SMTP}
	var all []string
	for _, word := range strings.FieldsFunc(strings.ToLower(answer), func(c rune) bool { return c == ',' || c == ' ' }) {
		switch word {
		case "all":
			all = known
		case "pop":
			all = append(all, config.POP3)
		default:
			if !slices.Contains(known, word) {
				return "", fmt.Errorf("%q is none of imap, pop3 and smtp", word)
			}
			all = append(all, word)
		}
	}
	if len(all) == 0 {
		return "", errors.New("name at least one of imap, pop3 and smtp")
	}
	chosen := slices.DeleteFunc(slices.Clone(known), func(p string) bool { return !slices.Contains(all, p) })
	return strings.Join(chosen, ", "), nil
}

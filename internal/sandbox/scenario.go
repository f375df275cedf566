package sandbox

import "strings"

// Domain is the mail domain of the organisation, whose mailboxes are all but
// one.
const Domain = "contoso.example"

// PersonalDomain is that of personal accounts. There is one: carol.
const PersonalDomain = "outlook.example"

// Mark says how sure it is that Exchange behaves as a scenario does.
type Mark string

const (
	Certain     Mark = "certain"      // documented, or in two or more independent logs
	Reported    Mark = "reported"     // in one log, or one measurement
	Inferred    Mark = "inferred"     // follows from certain facts, not observed
	NotExchange Mark = "not Exchange" // for robustness tests only
)

// A Scenario is a mailbox that makes something go wrong. Its name is the local
// part of the address.
type Scenario struct {
	Name string // local part
	What string // what happens, in a sentence
	Mark Mark   // the least certain part of it; "" where nothing goes wrong

	// SignInAs is the local part of the person whose tokens it is to be opened
	// with; "": an application's do.
	SignInAs string

	shared   bool // nobody signs in as it
	personal bool // a personal account, at PersonalDomain
	absent   bool // there is no such mailbox
	rbac     bool // Exchange's own roles let applications send from it

	imap, pop3, smtp behaviour // what becomes of an attempt to log in

	// Replies of SMTP, without their suffix; "" is the ordinary one.
	smtpAuth    string // to AUTH, whatever the token
	smtpMail    string // to MAIL
	smtpRcpt    string // to RCPT naming this mailbox
	smtpMessage string // to the message
	denySender  bool   // every message is refused as sent in another's name
}

// behaviour is what a mailbox does with those who log in.
type behaviour int

const (
	ordinary           behaviour = iota
	refuse                       // every token is refused in the general words
	refuseApplication            // tokens of applications are refused in the general words, those of people are not
	refuseFirst                  // the first token seen is refused, others are not
	refuseNotConnected           // IMAP: refused as "authenticated but not connected"
	notConnected                 // IMAP: accepted, then every command is refused
	stall                        // credentials are never answered
	drop                         // the connection ends in place of an answer
	dropLater                    // accepted; the connection ends in mid-session
	garble                       // accepted; then garbage in place of replies
	crawl                        // each line after the credentials is delayed
	throttle                     // IMAP: the first SELECT is throttled
	expireInIdle                 // IMAP: the token runs out when IDLE begins
	expireInCommand              // IMAP: the token runs out at the first SELECT
	revoke                       // IMAP: the session is ended at the first SELECT
	fail                         // IMAP: the first SELECT meets a fault behind the front end
	idleOut                      // IMAP: IDLE has lasted too long as soon as it begins
	throttleLogin                // IMAP: in place of a yes to the credentials
	throttleAll                  // IMAP: accepted, then every command is throttled
	closeAtLogin                 // IMAP: BYE in place of an answer to the credentials
	dropFirst                    // IMAP: accepted; the connection ends at the first command
)

const (
	diagnostics = "Failed to process message due to a permanent exception with message " +
		"[BeginDiagnosticData]Cannot submit message.[EndDiagnosticData]"

	replyConcurrent  = "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending for more information."
	replyRate        = "421 4.4.2 Message submission rate for this client has exceeded the configured limit"
	replyNoRights    = "430 4.2.0 STOREDRV; mailbox logon failure; MapiExceptionLogonFailed: AuthenticationContext has no rights on this session"
	replyMailboxFull = "554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded; " + diagnostics
	replyDailyQuota  = "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; " + diagnostics
	replyBusy        = "451 4.7.0 Temporary server error. Please try again later. PRX2"
	replySendAs      = "550 5.7.60 SMTP; Client does not have permissions to send as this sender"

	notAuthenticated = "530 5.7.57 Client not authenticated to send mail. Error: "

	authPolicy = "535 5.7.139 Authentication unsuccessful, "
	seeSMTPOff = " Visit https://aka.ms/smtp_auth_disabled for more information."
)

// scenarios is the one table of what can be made to go wrong.
var scenarios = []Scenario{
	{Name: "expired", Mark: Reported, imap: expireInIdle, pop3: refuse, smtp: refuse,
		What: "SMTP and POP3 refuse every token; an IMAP session ends with BYE Session invalidated - AccessTokenExpired as soon as it goes IDLE"},
	{Name: "refuse", Mark: Certain, imap: refuse, pop3: refuse, smtp: refuse,
		What: "every token is refused in the general words"},
	{Name: "refuse-once", Mark: Inferred, imap: refuseFirst, pop3: refuseFirst, smtp: refuseFirst,
		What: "the first token that is used is refused for ever, any other one is accepted: a revoked token"},
	{Name: "not-connected", Mark: Certain, imap: notConnected, pop3: refuse,
		What: "IMAP accepts the token, then says BAD User is authenticated but not connected, the third time with BYE; POP3 refuses; SMTP works"},
	{Name: "not-connected-2026", Mark: Reported, imap: refuseNotConnected, pop3: refuse,
		What: "IMAP answers AUTHENTICATE with NO User is authenticated but not connected; POP3 refuses; SMTP works"},
	{Name: "no-rights", Mark: Reported, imap: notConnected, pop3: refuse, smtpMessage: replyNoRights,
		What: "the application has no right on the mailbox: SMTP says 235, then 430 4.2.0 to the message; IMAP is not connected; POP3 refuses"},
	{Name: "smtp-disabled", Mark: Certain, smtpAuth: authPolicy + "SmtpClientAuthentication is disabled for the Mailbox." + seeSMTPOff,
		What: "SMTP AUTH is off for the mailbox: 535 5.7.139, before the token is looked at; IMAP and POP3 work"},
	{Name: "smtp-disabled-tenant", Mark: Certain, smtpAuth: authPolicy + "SmtpClientAuthentication is disabled for the Tenant." + seeSMTPOff,
		What: "SMTP AUTH is off for the organisation: 535 5.7.139, before the token is looked at; IMAP and POP3 work"},
	{Name: "security-defaults", Mark: Certain, smtpAuth: authPolicy + "user is locked by your organization's security defaults policy. Contact your administrator.",
		What: "security defaults lock the user out of SMTP: 535 5.7.139; IMAP and POP3 work"},
	{Name: "conditional-access", Mark: Certain, smtpAuth: authPolicy + "the request did not meet the criteria to be authenticated successfully. Contact your administrator.",
		What: "a policy forbids SMTP AUTH: 535 5.7.139; IMAP and POP3 work"},
	{Name: "basic-disabled", Mark: Inferred, smtpAuth: authPolicy + "basic authentication is disabled.",
		What: "SMTP refuses with 535 5.7.139 basic authentication is disabled (known of passwords); IMAP and POP3 work"},
	{Name: "basic-not-supported", Mark: Inferred, smtpAuth: "550 5.7.30 Basic authentication is not supported for Client Submission.",
		What: "SMTP refuses with 550 5.7.30 (known of passwords); IMAP and POP3 work"},
	{Name: "credentials-incorrect", Mark: Reported, smtpAuth: authPolicy + "the user credentials were incorrect.",
		What: "SMTP refuses with 535 5.7.139 the user credentials were incorrect; IMAP and POP3 work"},
	{Name: "account-locked", Mark: Reported, smtpAuth: authPolicy + "account locked. Contact your administrator.",
		What: "SMTP refuses with 535 5.7.139 account locked; IMAP and POP3 work"},
	{Name: "sts-unreachable", Mark: Reported, smtpAuth: authPolicy + "federated STS service was unreachable.",
		What: "SMTP refuses with 535 5.7.139 federated STS service was unreachable; IMAP and POP3 work"},
	{Name: "sts-without-https", Mark: Reported, smtpAuth: authPolicy + "the federated STS URL does not support HTTPS.",
		What: "SMTP refuses with 535 5.7.139 the federated STS URL does not support HTTPS; IMAP and POP3 work"},
	{Name: "not-authenticated", Mark: Inferred, smtpMail: notAuthenticated + authFailed,
		What: "SMTP says 235, then refuses MAIL with 530 5.7.57 and the error 535 5.7.3 (known after a refused AUTH); IMAP and POP3 work"},
	{Name: "not-authenticated-disabled", Mark: Inferred, smtpMail: notAuthenticated + authPolicy + "SmtpClientAuthentication is disabled for the Tenant." + seeSMTPOff,
		What: "SMTP says 235, then refuses MAIL with 530 5.7.57 and the error 535 5.7.139 (known after a refused AUTH); IMAP and POP3 work"},
	{Name: "imap-disabled", Mark: Certain, imap: notConnected,
		What: "IMAP is off for the mailbox: not connected; POP3 and SMTP work"},
	{Name: "pop-disabled", Mark: Certain, pop3: refuse,
		What: "POP3 is off for the mailbox: refused in the general words; IMAP and SMTP work"},
	{Name: "no-licence", Mark: Inferred, imap: notConnected, pop3: refuse,
		What: "the mailbox has no licence or is being created: IMAP is not connected (so far certain); POP3 refuses; SMTP works"},
	{Name: "wrong-object-id", Mark: Certain, imap: refuseApplication, pop3: refuseApplication, smtp: refuseApplication,
		What: "the application's service principal in Exchange has a wrong object id: its tokens are refused in the general words, people's are not"},
	{Name: "unknown-mailbox", Mark: Inferred, absent: true,
		What: "there is no such mailbox: every token is refused in the general words"},
	{Name: "other-user", Mark: Certain, shared: true, SignInAs: "alice",
		What: "alice has no right on this mailbox: her tokens are refused in the general words, an application's are not"},
	{Name: "too-many-connections", Mark: Certain, smtpMessage: replyConcurrent,
		What: "SMTP answers every message with 432 4.3.2 Concurrent connections limit exceeded; IMAP and POP3 work"},
	{Name: "send-as-refused", Mark: Certain, smtpMail: replySendAs,
		What: "SMTP refuses MAIL with 550 5.7.60"},
	{Name: "send-as-denied", Mark: Certain, denySender: true,
		What: "SMTP refuses every message with 554 5.2.252 SendAsDenied"},
	{Name: "mailbox-full", Mark: Certain, smtpMessage: replyMailboxFull,
		What: "SMTP refuses every message with 554 5.2.2 mailbox full"},
	{Name: "daily-quota", Mark: Certain, smtpMessage: replyDailyQuota,
		What: "SMTP refuses every message with 554 5.2.0 SubmissionQuotaExceededException"},
	{Name: "server-busy", Mark: Certain, smtpMessage: replyBusy,
		What: "SMTP answers every message with 451 4.7.0 Temporary server error"},
	{Name: "throttled", Mark: Reported, imap: throttle, smtpMessage: replyRate,
		What: "IMAP answers the first SELECT of a session with BAD Request is throttled; SMTP answers every message with 421 4.4.2 and closes"},
	{Name: "throttled-login", Mark: Inferred, imap: throttleLogin,
		What: "IMAP answers AUTHENTICATE with NO Request is throttled (known of other commands); POP3 and SMTP work"},
	{Name: "throttled-always", Mark: Certain, imap: throttleAll,
		What: "IMAP accepts the token, then answers every command with BAD Request is throttled; POP3 and SMTP work"},
	{Name: "expired-in-command", Mark: Reported, imap: expireInCommand,
		What: "IMAP answers the first SELECT with BAD Session invalidated - AccessTokenExpired (NO is reported as well) and closes; POP3 and SMTP work"},
	{Name: "session-invalid", Mark: Reported, imap: revoke,
		What: "IMAP answers the first SELECT with BYE Session invalidated - Invalid; POP3 and SMTP work"},
	{Name: "unavailable", Mark: Certain, imap: fail,
		What: "IMAP answers the first SELECT with BAD Server Unavailable. 15, then BYE Connection closed.; POP3 and SMTP work"},
	{Name: "idle-too-long", Mark: Reported, imap: idleOut,
		What: "an IMAP session ends with BYE Connection is closed. 13 as soon as it goes IDLE; POP3 and SMTP work"},
	{Name: "closed-at-login", Mark: Inferred, imap: closeAtLogin,
		What: "IMAP answers the credentials with BYE Connection closed. 14 (known of later commands); POP3 and SMTP work"},
	{Name: "drop-after-login", Mark: NotExchange, imap: dropFirst,
		What: "IMAP accepts the token and closes the connection at the first command, without a word; POP3 and SMTP work"},
	{Name: "unknown-recipient", Mark: NotExchange, smtpRcpt: "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
		What: "as a recipient it is refused with 550 5.1.10 (Exchange says so to other servers, not to a client that submits)"},
	{Name: "busy-recipient", Mark: NotExchange, smtpRcpt: "451 4.7.500 Server busy. Please try again later from [127.0.0.1]. (S77719)",
		What: "as a recipient it is refused with 451 4.7.500 (known from Exchange's inbound service only)"},
	{Name: "slow", Mark: NotExchange, imap: crawl, pop3: crawl, smtp: crawl,
		What: "from the answer to the credentials on, each line is delayed by Options.SlowDelay (in IMAP until the login is done)"},
	{Name: "stall", Mark: NotExchange, imap: stall, pop3: stall, smtp: stall,
		What: "credentials are never answered"},
	{Name: "drop", Mark: NotExchange, imap: drop, pop3: drop, smtp: drop,
		What: "the connection is closed in place of an answer to the credentials"},
	{Name: "drop-later", Mark: NotExchange, imap: dropLater, pop3: dropLater, smtp: dropLater,
		What: "the login works; the connection is closed at IMAP's SELECT, at POP3's RETR, and in SMTP after the last byte of the message, before a reply"},
	{Name: "garbage", Mark: NotExchange, imap: garble, pop3: garble, smtp: garble,
		What: "the login works; every later command is answered with a line that is no reply"},
}

// Scenarios lists the mailboxes that make something go wrong.
func Scenarios() []Scenario { return append([]Scenario(nil), scenarios...) }

// plainMailboxes work.
var plainMailboxes = []Scenario{
	{Name: "alice", What: "an ordinary mailbox"},
	{Name: "bob", What: "an ordinary mailbox"},
	{Name: "scanner", What: "an ordinary mailbox"},
	{Name: "shared", What: "a shared mailbox, to which alice has full access", shared: true, SignInAs: "alice"},
	{Name: "carol", What: "the mailbox of a personal account", personal: true},
}

// Scenario returns what the mailbox with that address is for. One that is not
// in Mailboxes has a Scenario without a name.
func (s *Sandbox) Scenario(address string) Scenario {
	for _, list := range [][]Scenario{plainMailboxes, scenarios} {
		for _, sc := range list {
			if strings.EqualFold(sc.address(), address) {
				return sc
			}
		}
	}
	return Scenario{}
}

// address of the mailbox.
func (sc *Scenario) address() string {
	if sc.personal {
		return sc.Name + "@" + PersonalDomain
	}
	return sc.Name + "@" + Domain
}

// on returns the behaviour in one protocol.
func (sc *Scenario) on(p protocol) behaviour {
	switch p {
	case imapProtocol:
		return sc.imap
	case pop3Protocol:
		return sc.pop3
	default:
		return sc.smtp
	}
}

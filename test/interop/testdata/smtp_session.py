"""Sends with Python's smtplib in all the ways it has."""

import smtplib

from setting import HOST, PASSWORD, PORT, TLS, USER, check, context, read, setting


def connect():
    if TLS == "implicit":
        return smtplib.SMTP_SSL(HOST, PORT, context=context, timeout=60)
    smtp = smtplib.SMTP(HOST, PORT, timeout=60)
    if TLS == "starttls":
        smtp.starttls(context=context)
    return smtp


def log_in(smtp, mechanism, initial_response):
    smtp.ehlo_or_helo_if_needed()
    smtp.user, smtp.password = USER, PASSWORD
    smtp.auth(mechanism, getattr(smtp, "auth_" + mechanism.lower()), initial_response_ok=initial_response)


for mechanism in ("PLAIN", "LOGIN"):
    for initial_response in (True, False):
        with connect() as smtp:
            log_in(smtp, mechanism, initial_response)
            check("NOOP", smtp.noop()[0], 250)

with connect() as smtp:
    try:
        smtp.login(USER, "wrong")
    except smtplib.SMTPAuthenticationError as refusal:
        check("wrong password", refusal.smtp_code, 535)
    else:
        check("wrong password", "accepted", "refused")
    smtp.login(USER, PASSWORD)

message, recipient, refused = read("message"), setting["recipient"], setting["refused"]
with connect() as smtp:
    smtp.login(USER, PASSWORD)
    check("SIZE is offered", smtp.has_extn("size"), True)
    smtp.sendmail(USER, [recipient], message)
    refusals = smtp.sendmail(USER, [refused, recipient], message)
    check("refused recipients", {who: code for who, (code, _) in refusals.items()}, {refused: 550})
    try:
        smtp.sendmail(USER, [refused], message)
    except smtplib.SMTPRecipientsRefused as refusal:
        check("the only recipient", refusal.recipients[refused][0], 550)
    else:
        check("the only recipient", "accepted", "refused")
    smtp.sendmail(USER, [recipient], message, mail_options=["BODY=8BITMIME"], rcpt_options=["NOTIFY=NEVER"])

"""Uses a mailbox with Python's imaplib: it is empty before and after."""

import imaplib

from setting import HOST, PASSWORD, PORT, TLS, USER, check, context, read


def connect():
    if TLS == "implicit":
        return imaplib.IMAP4_SSL(HOST, PORT, ssl_context=context, timeout=60)
    imap = imaplib.IMAP4(HOST, PORT, timeout=60)
    if TLS == "starttls":
        imap.starttls(ssl_context=context)
    return imap


def ok(answer):
    """Returns the data of an answer that has to be OK."""
    status, data = answer
    check(str(data)[:100], status, "OK")
    return data


with connect() as imap:
    for user, password in ((USER, "wrong"), ("nobody", PASSWORD)):
        try:
            imap.login(user, password)
        except imaplib.IMAP4.error as refusal:
            check("refusal", str(refusal)[:25], "b'[AUTHENTICATIONFAILED] "[:25])
        else:
            check("wrong credentials", "accepted", "refused")
    ok(imap.authenticate("PLAIN", lambda _: f"\0{USER}\0{PASSWORD}".encode()))

message, large = read("message"), read("large")
with connect() as imap:
    ok(imap.login(USER, PASSWORD))
    check("messages", ok(imap.select())[0], b"0")
    ok(imap.append("INBOX", r"(\Flagged)", None, message))
    ok(imap.append("INBOX", None, None, large))
    ok(imap.noop())
    check("flagged", ok(imap.search(None, "FLAGGED"))[0], b"1")
    check("large", ok(imap.search(None, "LARGER", str(len(message) + 1)))[0], b"2")
    uids = ok(imap.uid("SEARCH", "ALL"))[0].split()
    check("number of messages", len(uids), 2)
    for uid, sent in zip(uids, (message, large)):
        fetched = ok(imap.uid("FETCH", uid, "(RFC822.SIZE BODY.PEEK[])"))
        check("message", fetched[0][1], sent)

    ok(imap.create("Kept"))
    ok(imap.uid("COPY", uids[1], "Kept"))
    ok(imap.uid("STORE", uids[0], "+FLAGS", r"(\Deleted \Answered)"))
    check("expunged", ok(imap.expunge()), [b"1"])
    check("what is left", ok(imap.uid("SEARCH", "ALL"))[0], uids[1])
    ok(imap.store("1", "+FLAGS.SILENT", r"\Deleted"))
    ok(imap.close())

    check("copied", ok(imap.select("Kept"))[0], b"1")
    check("copy", ok(imap.fetch("1", "BODY.PEEK[]"))[0][1], large)
    ok(imap.close())
    ok(imap.delete("Kept"))
    check("messages", ok(imap.select())[0], b"0")

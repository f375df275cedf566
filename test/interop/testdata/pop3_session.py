"""Empties a mailbox of two messages with Python's poplib."""

import poplib

from setting import HOST, PASSWORD, PORT, TLS, USER, check, context, read

poplib._MAXLINE = 1 << 20  # it refuses lines of more than 2048 bytes


def connect():
    if TLS == "implicit":
        return poplib.POP3_SSL(HOST, PORT, context=context, timeout=60)
    pop3 = poplib.POP3(HOST, PORT, timeout=60)
    if TLS == "starttls":
        pop3.stls(context=context)
    return pop3


def log_in():
    pop3 = connect()
    pop3.user(USER)
    pop3.pass_(PASSWORD)
    return pop3


def retrieve(pop3, number):
    return b"".join(line + b"\r\n" for line in pop3.retr(number)[1])


pop3 = connect()
check("CAPA", {"UIDL", "TOP", "USER", "SASL"} <= set(pop3.capa()), True)
pop3.user(USER)
try:
    pop3.pass_("wrong")
except poplib.error_proto as refusal:
    check("wrong password", refusal.args[0][:12], b"-ERR [AUTH] ")
else:
    check("wrong password", "accepted", "refused")
pop3.quit()

first, second = read("first"), read("second")
pop3 = log_in()
check("STAT", pop3.stat()[0], 2)
sizes = [int(line.split()[1]) for line in pop3.list()[1]]
names = [line.split()[1] for line in pop3.uidl()[1]]
check("two names", len(set(names)), 2)
retrieved = [retrieve(pop3, number) for number in (1, 2)]
check("sizes", sizes, [len(message) for message in retrieved])
order = [1, 2] if retrieved[0].endswith(first) else [2, 1]
for number, sent in zip(order, (first, second)):
    check("message", retrieved[number - 1].endswith(sent), True)
top = b"\r\n".join(pop3.top(order[0], 1)[1])
check("TOP", top.endswith(b"\r\n\r\nA line."), True)
pop3.dele(1)
pop3.rset()
pop3.dele(order[1])
pop3.quit()

pop3 = log_in()
check("STAT", pop3.stat()[0], 1)
check("UIDL", pop3.uidl(1).split()[2], names[order[0] - 1])
check("the message that is left", retrieve(pop3, 1).endswith(first), True)
pop3.dele(1)
pop3.quit()

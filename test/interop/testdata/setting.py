"""What a test tells its script, as JSON on standard input."""

import json
import ssl
import sys

setting = json.load(sys.stdin)
HOST = "localhost"
PORT = setting["port"]
TLS = setting["tls"]  # none, starttls or implicit
USER = setting["user"]
PASSWORD = setting["password"]
context = ssl.create_default_context(cafile=setting["ca"])


def read(name):
    """Returns the content of a file that the test has written."""
    with open(setting[name], "rb") as file:
        return file.read()


def check(what, got, want):
    """Ends the script if got isn't want."""
    if got != want:
        sys.exit(f"{what}: got {got!r:.300}, want {want!r:.300}")

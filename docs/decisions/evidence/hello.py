"""Measures how long clients take from connecting to the first byte of their
TLS hello, which is what a listener with "tls: auto" waits for.

    python3 docs/decisions/evidence/hello.py 100
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

CLIENTS = {
    "openssl s_client": ["openssl", "s_client", "-connect", "127.0.0.1:PORT"],
    "curl": ["curl", "-sk", "imaps://127.0.0.1:PORT/"],
    "Python, imaplib": [sys.executable, "-c", "import imaplib; imaplib.IMAP4_SSL('127.0.0.1', PORT)"],
    "Python, roots loaded after connecting": [
        sys.executable, "-c", "import socket, ssl; c = socket.create_connection(('127.0.0.1', PORT));"
        "ssl.create_default_context().wrap_socket(c, server_hostname='localhost')"],
    "msmtp": ["msmtp", "--host=127.0.0.1", "--port=PORT", "--tls=on", "--tls-starttls=off", "--serverinfo"],
    "fetchmail": ["fetchmail", "-f", "FETCHMAILRC", "--nosyslog"],
    "Java, its first connection": ["java", "HELLO.java", "PORT"],
}

FILES = {
    "FETCHMAILRC": "poll 127.0.0.1 protocol imap port PORT user a password b options ssl\n",
    "HELLO.java": "public class HELLO { public static void main(String[] a) throws Exception {"
                  "var s = (javax.net.ssl.SSLSocket) javax.net.ssl.SSLSocketFactory.getDefault().createSocket();"
                  "s.connect(new java.net.InetSocketAddress(\"127.0.0.1\", Integer.parseInt(a[0])));"
                  "s.startHandshake(); } }\n",
}


def measure(command, folder):
    """Returns the milliseconds, or None for a client that says something else."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(30)
    values = {"PORT": str(listener.getsockname()[1])}

    def fill(text):
        for name, value in values.items():
            text = text.replace(name, value)
        return text

    for name, text in FILES.items():
        path = os.path.join(folder, name)
        with open(path, "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
            f.write(fill(text))
        values[name] = path
    client = subprocess.Popen([fill(word) for word in command], env=dict(os.environ, HOME=folder, TERM="dumb"), stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        connection, _ = listener.accept()
        connected = time.monotonic()
        connection.settimeout(30)
        first = connection.recv(1)
        took = 1000 * (time.monotonic() - connected)
        connection.close()
        return took if first == b"\x16" else None
    except TimeoutError:
        return None
    finally:
        client.kill()
        client.wait()
        listener.close()


def main():
    with tempfile.TemporaryDirectory() as folder:
        for name, command in CLIENTS.items():
            if not shutil.which(command[0]):
                continue
            times = []
            for _ in range(int(sys.argv[1])):
                took = measure(command, folder)
                if took is None:
                    break
                times.append(took)
            if not times:
                print(f"{name}: no TLS hello")
                continue
            times.sort()
            print(f"{name}: median {times[len(times) // 2]:.1f} ms, longest of {len(times)} {times[-1]:.1f} ms", flush=True)


main()

# oauthproxy's life under a real systemd, as an administrator leads it. Each
# thing that holds is a line "ok"; the first that doesn't ends the story.

set -euo pipefail

config=/etc/oauthproxy/config.yaml

fail() {
	echo "FAILED: $*"
	systemctl --no-pager --full status 'oauthproxy*' || true
	journalctl --no-pager -n 40 -o cat -u oauthproxy || true
	exit 1
}

holds() {
	local what=$1
	shift
	"$@" || fail "$what"
	echo "ok $what"
}

property() { systemctl show --value --property "$1" oauthproxy; }

is() { [ "$(property "$1")" = "$2" ] || { echo "$1 is $(property "$1"), not $2"; return 1; }; }

not() { ! "$@"; }

# eventually tries for a minute.
eventually() {
	for _ in $(seq 600); do
		if "$@" >/dev/null 2>&1; then return; fi
		sleep 0.1
	done
	"$@"
}

says() { "${@:2}" 2>&1 | grep -qF "$1"; }

log_in() { curl -sS --fail -u "alice@contoso.example:$password" --max-time 60 "$1://127.0.0.1/" >/dev/null; }

# keep_coming connects until told to stop, and counts those who weren't greeted.
keep_coming() {
	local line refused=0 greeted=0
	while [ -e /run/clients ]; do
		if { exec 3<>/dev/tcp/127.0.0.1/143 && read -r -t 60 line <&3; } 2>/dev/null; then
			greeted=$((greeted + 1))
		else
			refused=$((refused + 1))
		fi
		exec 3>&- || true
	done
	echo "$refused" >/run/refused
	echo "$greeted clients greeted, $refused not"
}

change() { sed -i "$1" "$config"; }

install_service() {
	cp /units/*.service /units/*.socket /etc/systemd/system/
	systemd-sysusers /units/oauthproxy.sysusers.conf
	systemd-tmpfiles --create /units/oauthproxy.tmpfiles.conf
	mkdir -p /etc/systemd/system/oauthproxy.service.d /etc/credstore /etc/credstore.encrypted
	cat >/etc/systemd/system/oauthproxy.service.d/secrets.conf <<-END
		[Service]
		LoadCredential=sandbox.secret:/etc/credstore/sandbox.secret
		LoadCredentialEncrypted=store.key:/etc/credstore.encrypted/store.key
	END
	systemctl daemon-reload
}

start_sandbox() {
	systemd-run --quiet --unit=sandbox --property=StandardOutput=file:/run/sandbox.yaml \
		--property=StandardError=file:/run/sandbox.log /usr/local/bin/oauthproxy sandbox
	eventually grep -q 'oauthproxy serve' /run/sandbox.log
	password=$(sed -n 's/^# Every login has the password //p' /run/sandbox.yaml)
}

# configure writes the sandbox's configuration for three ports below 1024,
# with one mailbox of the application's and one for which somebody signs in.
configure() {
	local folder
	folder=$(sed -n 's#.*"\(/.*\)/ca.pem"#\1#p' /run/sandbox.yaml)
	cp "$folder/ca.pem" /etc/oauthproxy/ca.pem
	mv "$folder/sandbox.secret" /etc/credstore/sandbox.secret
	chmod 600 /etc/credstore/sandbox.secret
	openssl rand -base64 32 | systemd-creds encrypt --with-key=host --name=store.key - /etc/credstore.encrypted/store.key
	sed -e '/^  secret-wrong:/,/^$/{/^$/!d}' -e '/mailbox: bob/,$d' -e '/^state_directory/d' \
		-e "s#\"$folder/#\"#" -e 's#"127.0.0.1:1\(143\|110\)"#":\1", networks: [127.0.0.0/8]#' \
		-e 's#"127.0.0.1:1587"#":25", networks: [127.0.0.0/8]#' \
		-e 's#^listeners:#  staff: {flow: device_code, tenant: contoso.example, client_id: 11111111-2222-3333-4444-555555555555}\n\n&#' \
		/run/sandbox.yaml >"$config"
	cat >>"$config" <<-END
		  - mailbox: carol@contoso.example
		    app: staff
		    logins: [{networks: [127.0.0.9], protocols: [smtp], device: true}]
	END
	chmod 640 "$config" /etc/oauthproxy/ca.pem
	chgrp oauthproxy-config "$config" /etc/oauthproxy/ca.pem
}

install_service
start_sandbox
configure

holds "the sockets are opened, and nothing runs" systemctl enable --now oauthproxy-smtp.socket oauthproxy-imap.socket oauthproxy-pop3.socket
holds "nothing runs yet" is ActiveState inactive
holds "the first client starts it" log_in imap
holds "it runs" is ActiveState active
for protocol in imap pop3 smtp; do
	holds "a login by $protocol" log_in "$protocol"
done
holds "it tells how it stands" eventually is StatusText "3 listeners, 0 sessions"
holds "it is nobody that exists otherwise" not grep -q '^oauthproxy:' /etc/passwd
holds "it has no capability" grep -q '^CapBnd:.*0000000000000000$' "/proc/$(property MainPID)/status"
holds "it isn't root" not grep -q '^Uid:.*\b0\b' "/proc/$(property MainPID)/status"
holds "the key isn't beside the sign-ins" not test -e /var/lib/oauthproxy/store.key
holds "commands reach it" says "carol@contoso.example" oauthproxy accounts --config "$config"

holds "a reload" systemctl reload oauthproxy
holds "it runs on after the reload" is ActiveState active
pid=$(property MainPID)
change 's/protocol: pop3/protocol: pop4/'
holds "a reload of a wrong configuration fails" not systemctl reload oauthproxy
holds "and says why" says 'unknown value "pop4"' journalctl -o cat -u oauthproxy
holds "and changes nothing" log_in pop3
holds "not even the process" is MainPID "$pid"
change 's/protocol: pop4/protocol: pop3/'

touch /run/clients
keep_coming &
for round in 1 2 3; do
	holds "restart $round" systemctl restart oauthproxy
done
rm /run/clients
wait %1
holds "no client was refused" grep -qx 0 /run/refused

printf '[Service]\nWatchdogSec=2\nTimeoutAbortSec=1\nRestartSec=100ms\n' >/etc/systemd/system/oauthproxy.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart oauthproxy
sleep 5 # more than two turns of the watchdog: nothing else could tell that it is served
holds "the watchdog leaves it alone" is NRestarts 0
kill -STOP "$(property MainPID)"
holds "one that hangs is started again" eventually is NRestarts 1
holds "and serves" log_in imap

change 's/protocol: pop3/protocol: pop4/'
holds "a wrong configuration ends it" not systemctl restart oauthproxy
holds "with status 78" is ExecMainStatus 78
holds "for good" is ActiveState failed
# Each client starts it once more, until that is enough for the socket too.
holds "clients wait no longer" eventually not log_in imap
holds "the socket gives up" eventually systemctl is-failed oauthproxy-imap.socket
change 's/protocol: pop4/protocol: pop3/'
systemctl reset-failed oauthproxy
holds "it starts when that is corrected" systemctl start oauthproxy
holds "and the socket is back" log_in imap
holds "it stops" systemctl stop oauthproxy
holds "and well" is Result success
echo "the end"

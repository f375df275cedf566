package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"testing"
)

const example = "../config.example.yaml"

// sections tells where in a file each kind of section stands, with * for a
// name and [] for an item.
var sections = map[*keys][]string{
	topKeys:             {""},
	appKeys:             {"apps.*"},
	listenerKeys:        {"listeners[]"},
	accountKeys:         {"accounts[]"},
	loginKeys:           {"accounts[].logins[]"},
	accountUpstreamKeys: {"accounts[].upstream"},
	upstreamKeys:        {"upstream"},
	hostKeys: {"upstream.imap", "upstream.pop3", "upstream.smtp",
		"accounts[].upstream.imap", "accounts[].upstream.pop3", "accounts[].upstream.smtp"},
	limitKeys: {"limits"},
	adminKeys: {"admin"},
	storeKeys: {"store"},
	logKeys:   {"log"},
}

// TestExampleHasEveryKey holds the example complete.
func TestExampleHasEveryKey(t *testing.T) {
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{}
	paths := everyPath(r.parse(data), "")
	for _, k := range schema {
		if len(sections[k]) == 0 {
			t.Errorf("the test doesn't know where %s stands", k.of)
		}
		for _, section := range sections[k] {
			for _, key := range k.known {
				if path := join(section, key); !slices.Contains(paths, path) {
					t.Errorf("%s has no %s", example, path)
				}
			}
		}
	}
}

// everyPath returns the ways to all keys in v.
func everyPath(v *value, path string) []string {
	var paths []string
	for _, item := range v.items {
		paths = append(paths, everyPath(item, path+"[]")...)
	}
	for _, f := range v.fields {
		key := f.key
		if path == "apps" {
			key = "*"
		}
		paths = append(paths, join(path, key))
		paths = append(paths, everyPath(f.value, join(path, key))...)
	}
	return paths
}

// TestExampleShowsTheDefaults loads the example and compares what it sets with
// what happens when it is left out.
func TestExampleShowsTheDefaults(t *testing.T) {
	folder := fixture(t)
	defaults := mustLoad(t, folder, smallest)
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	c := mustLoad(t, folder, string(data))
	if got, want := c.Apps["devices"], defaults.Apps["devices"]; !reflect.DeepEqual(got, want) {
		t.Errorf("the app devices: got %+v, want %+v", got, want)
	}
	for _, a := range c.Accounts {
		if a.Upstream != defaults.Upstream {
			t.Errorf("upstream of %s: got %+v, want %+v", a.Mailbox, a.Upstream, defaults.Upstream)
		}
	}
	got := Config{Upstream: c.Upstream, Limits: c.Limits, Admin: c.Admin, StateDirectory: c.StateDirectory,
		Store: c.Store, HTTPProxy: c.HTTPProxy, Log: c.Log}
	want := Config{Upstream: defaults.Upstream, Limits: defaults.Limits, Admin: defaults.Admin, StateDirectory: defaults.StateDirectory,
		Store: defaults.Store, HTTPProxy: defaults.HTTPProxy, Log: defaults.Log}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestExampleHashes: whoever tries the example out finds hashes that could be
// those of passwords.
func TestExampleHashes(t *testing.T) {
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	const hash = `password_hash: "\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}"`
	if n := len(regexp.MustCompile(hash).FindAll(data, -1)); n != 3 {
		t.Errorf("%s has %d whole argon2id hashes, want 3", example, n)
	}
}

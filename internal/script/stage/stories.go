package stage

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oauthproxy/internal/script"
	"oauthproxy/proxy"
)

const folder = "testdata/dialogue/"

// PlayStories plays each story in testdata/dialogue on a stage of its own.
func PlayStories(t *testing.T, protocol proxy.Protocol) {
	files, err := filepath.Glob(folder + "*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story := read(t, name)
			s := New(t, protocol, story.Options)
			if err := story.Play(s.script()); err != nil {
				t.Errorf("%s%s.txt: %v", folder, name, err)
			}
		})
	}
}

// read reads a story. The option "after" names one that comes before it.
func read(t testing.TB, name string) *script.Story {
	t.Helper()
	text, err := os.ReadFile(folder + name + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	story, err := script.Parse(string(text))
	if err != nil {
		t.Fatalf("%s%s.txt: %v", folder, name, err)
	}
	if first := story.Options["after"]; first != "" {
		story.Follow(read(t, first))
	}
	return story
}

func (s *Stage) script() script.Stage {
	stage := script.Stage{
		Proxy:       s.Listener.Addr().String(),
		ClientTLS:   s.ClientTLS,
		Upstream:    s.Upstream,
		UpstreamTLS: s.UpstreamTLS,
		Response:    s.Response,
		Over:        func() { s.BeginShutdown(false) },
		Happen: func(what string) error {
			switch what {
			case "SHUTDOWN":
				s.BeginShutdown(false)
			case "STOP":
				s.BeginShutdown(true)
			default:
				return fmt.Errorf("unknown: %s", what)
			}
			return nil
		},
	}
	if s.deaf {
		stage.Upstream = nil
	}
	return stage
}

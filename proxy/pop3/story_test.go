package pop3

import (
	"testing"

	"go.uber.org/goleak"

	"oauthproxy/internal/script/stage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStories(t *testing.T) { stage.PlayStories(t, Protocol{}) }

package accounts

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

const (
	maxBcryptCost = 16 // about five seconds
	// bcrypt reads this many bytes of a password and no more.
	maxBcryptPassword = 72
)

// bcryptHash is a hash as `htpasswd -B` and many others make it.
type bcryptHash struct {
	text string
	log2 int // the cost as written in the hash
}

// bcryptForm: $2x$ is left out, it marks hashes made by a faulty program.
var bcryptForm = regexp.MustCompile(`^\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}$`)

func isBcrypt(text string) bool { return strings.HasPrefix(text, "$2") }

func parseBcrypt(text string) (hash, error) {
	if !bcryptForm.MatchString(text) {
		return nil, errors.New("the bcrypt hash is damaged or of an unknown kind, copy it whole ($2a$, $2b$ or $2y$ and 60 characters)")
	}
	log2, err := bcrypt.Cost([]byte(text))
	if err != nil || log2 > maxBcryptCost {
		return nil, fmt.Errorf("the bcrypt hash has a cost outside %d to %d", bcrypt.MinCost, maxBcryptCost)
	}
	return &bcryptHash{text: text, log2: log2}, nil
}

// matches refuses what bcrypt can't tell apart: it ignores everything after 72
// bytes, and takes a zero byte for the end of the password. It hashes those
// passwords all the same, so that the answer takes its time.
func (h *bcryptHash) matches(password string) bool {
	same := bcrypt.CompareHashAndPassword([]byte(h.text), []byte(password)) == nil
	return same && len(password) <= maxBcryptPassword && !strings.Contains(password, "\x00")
}

// cost: 2^10 rounds took 75 ms on a 2.8 GHz Xeon.
func (h *bcryptHash) cost() int { return 73 << h.log2 }

package tokens

import (
	"errors"
	"fmt"
)

// ErrNotFound says that nothing is kept for the account.
var ErrNotFound = errors.New("there is no stored sign-in")

// WrongKey says that a file was sealed with another key than the one at hand.
// Such a file is never overwritten.
type WrongKey struct {
	File string
	// Source is where the key at hand comes from.
	Source string
}

// Error names the file and the key, and tells what to do.
func (e *WrongKey) Error() string {
	return fmt.Sprintf("%s was sealed with another key than %s: put back the key that it was sealed with; if that is lost, remove the file and sign in again", e.File, e.Source)
}

// OtherFormat says that a file is of a format that this version doesn't know.
// Such a file is never overwritten.
type OtherFormat struct {
	File   string
	Format int
}

// Error names the file and its format, and tells what to do.
func (e *OtherFormat) Error() string {
	return fmt.Sprintf("%s was written by another version of oauthproxy (format %d, this one knows format %d): run that version, or remove the file and sign in again", e.File, e.Format, sealFormat)
}

// Damaged says that what a file holds isn't what was once saved there. The
// file stays where it is until the next Save, which moves it aside.
type Damaged struct {
	File string
	// Reason says in plain words what is wrong with it.
	Reason string
}

// Error names the file and what is wrong, and tells what to do.
func (e *Damaged) Error() string {
	return fmt.Sprintf("%s can't be used, %s: sign in again, or put it back from a copy and restart oauthproxy", e.File, e.Reason)
}

// KeyTrouble says that the store has no key, or not the one that it needs. What
// is in it stays as it is.
type KeyTrouble struct{ Err error }

// Error tells what is wrong with the key, and what to do.
func (e *KeyTrouble) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *KeyTrouble) Unwrap() error { return e.Err }

// ErrInterrupted says that a change of the key was interrupted, and that the
// other one of the two keys is needed.
var ErrInterrupted = errors.New("a change of the store's key was interrupted")

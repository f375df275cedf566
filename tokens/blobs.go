package tokens

// Blobs keeps one blob of bytes per account; *Store is one, which encrypts
// them. The broker calls it for one account at a time, for several accounts at
// once.
type Blobs interface {
	// Load returns the account's blob, or an error that is ErrNotFound.
	Load(account string) ([]byte, error)
	// Save replaces the account's blob. After an error the old one is whole.
	Save(account string, blob []byte) error
	// Delete removes the account's blob; that there is none is no error, or ErrNotFound.
	Delete(account string) error
}

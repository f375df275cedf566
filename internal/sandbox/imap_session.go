package sandbox

import (
	"bytes"
	"io"
	"slices"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
)

const imapDelimiter = '/'

// maxAppend bounds a message that is appended or submitted: the SIZE that
// Exchange advertises.
const maxAppend = maxMessage

// imapSession shows a mailbox to go-imap's server. (That library brings an
// in-memory mailbox of its own, which gives an empty body for a message whose
// header it cannot parse, and changes bytes of others: tests here compare
// bytes.)
type imapSession struct {
	mailbox *mailbox
	conn    *imapConn
	folder  *folder                    // nil: none is selected
	view    *imapserver.SessionTracker // of folder
}

var (
	_ imapserver.SessionNamespace   = (*imapSession)(nil)
	_ imapserver.SessionMove        = (*imapSession)(nil)
	_ imapserver.SessionAppendLimit = (*imapSession)(nil)
)

var (
	errNoFolder = &imap.Error{Type: imap.StatusResponseTypeNo, Code: imap.ResponseCodeNonExistent, Text: "Folder does not exist."}
	errTryMake  = &imap.Error{Type: imap.StatusResponseTypeNo, Code: imap.ResponseCodeTryCreate, Text: "Folder does not exist."}
	errRefused  = &imap.Error{Type: imap.StatusResponseTypeNo, Text: "The folder cannot be changed so."}
)

// Close ends the session.
func (s *imapSession) Close() error {
	if s.folder != nil {
		s.view.Close()
	}
	s.conn.end()
	return nil
}

// Login is never called: the client had logged in before.
func (s *imapSession) Login(string, string) error { return imapserver.ErrAuthFailed }

// AppendLimit is the size of the largest message, in bytes.
func (s *imapSession) AppendLimit() uint32 { return maxAppend }

// Namespace answers NAMESPACE.
func (s *imapSession) Namespace() (*imap.NamespaceData, error) {
	return &imap.NamespaceData{Personal: []imap.NamespaceDescriptor{{Delim: imapDelimiter}}}, nil
}

// Select opens a folder.
func (s *imapSession) Select(name string, _ *imap.SelectOptions) (*imap.SelectData, error) {
	f := s.mailbox.folder(name)
	if f == nil {
		return nil, errNoFolder
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s.folder, s.view = f, f.tracker.NewSession()
	return &imap.SelectData{
		Flags:             exchangeFlags,
		PermanentFlags:    exchangeFlags,
		NumMessages:       uint32(len(f.messages)),
		FirstUnseenSeqNum: uint32(slices.IndexFunc(f.messages, unseen) + 1),
		UIDNext:           f.nextUID,
		UIDValidity:       f.validity,
	}, nil
}

// Unselect closes the folder that is open.
func (s *imapSession) Unselect() error {
	s.view.Close()
	s.folder, s.view = nil, nil
	return nil
}

// Create makes a folder.
func (s *imapSession) Create(name string, _ *imap.CreateOptions) error {
	if !s.mailbox.create(name) {
		return &imap.Error{Type: imap.StatusResponseTypeNo, Code: imap.ResponseCodeAlreadyExists, Text: "Folder already exists."}
	}
	return nil
}

// Delete removes a folder.
func (s *imapSession) Delete(name string) error {
	if !s.mailbox.remove(name) {
		return errRefused
	}
	return nil
}

// Rename renames a folder.
func (s *imapSession) Rename(from, to string, _ *imap.RenameOptions) error {
	if !s.mailbox.rename(from, to) {
		return errRefused
	}
	return nil
}

// Subscribe changes nothing: every folder is subscribed.
func (s *imapSession) Subscribe(name string) error {
	if s.mailbox.folder(name) == nil {
		return errNoFolder
	}
	return nil
}

// Unsubscribe changes nothing.
func (s *imapSession) Unsubscribe(name string) error { return s.Subscribe(name) }

// List answers LIST and LSUB.
func (s *imapSession) List(w *imapserver.ListWriter, reference string, patterns []string, _ *imap.ListOptions) error {
	if len(patterns) == 0 {
		return w.WriteList(&imap.ListData{Attrs: []imap.MailboxAttr{imap.MailboxAttrNoSelect}, Delim: imapDelimiter})
	}
	for _, name := range s.mailbox.names() {
		matches := func(pattern string) bool {
			return imapserver.MatchList(name, imapDelimiter, reference, pattern)
		}
		if !slices.ContainsFunc(patterns, matches) {
			continue
		}
		data := &imap.ListData{Mailbox: name, Delim: imapDelimiter, Attrs: s.attributes(name)}
		if err := w.WriteList(data); err != nil {
			return err
		}
	}
	return nil
}

// attributes of a folder in LIST (RFC 3348 and, as Exchange shows it though it
// does not offer SPECIAL-USE, RFC 6154).
func (s *imapSession) attributes(name string) []imap.MailboxAttr {
	hasChild := func(other string) bool {
		return len(other) > len(name) && other[:len(name)+1] == name+string(imapDelimiter)
	}
	attributes := []imap.MailboxAttr{imap.MailboxAttrHasNoChildren}
	if slices.ContainsFunc(s.mailbox.names(), hasChild) {
		attributes[0] = imap.MailboxAttrHasChildren
	}
	if name == sentItems {
		attributes = append(attributes, imap.MailboxAttrSent)
	}
	return attributes
}

// Status answers STATUS.
func (s *imapSession) Status(name string, options *imap.StatusOptions) (*imap.StatusData, error) {
	f := s.mailbox.folder(name)
	if f == nil {
		return nil, errNoFolder
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var (
		messages = uint32(len(f.messages))
		recent   uint32
		unread   uint32
		size     int64
	)
	for _, m := range f.messages {
		size += int64(len(m.raw))
		if unseen(m) {
			unread++
		}
	}
	data := &imap.StatusData{Mailbox: name, UIDNext: f.nextUID, UIDValidity: f.validity}
	if options.NumMessages {
		data.NumMessages = &messages
	}
	if options.NumRecent {
		data.NumRecent = &recent
	}
	if options.NumUnseen {
		data.NumUnseen = &unread
	}
	if options.Size {
		data.Size = &size
	}
	return data, nil
}

func unseen(m *message) bool { return !m.has(imap.FlagSeen) }

// Append stores a message.
func (s *imapSession) Append(name string, r imap.LiteralReader, options *imap.AppendOptions) (*imap.AppendData, error) {
	f := s.mailbox.folder(name)
	if f == nil {
		return nil, errTryMake
	}
	raw := bytes.NewBuffer(make([]byte, 0, min(r.Size(), 1<<20)))
	if _, err := io.Copy(raw, r); err != nil {
		return nil, err
	}
	date := options.Time
	if date.IsZero() {
		date = time.Now()
	}
	return &imap.AppendData{UIDValidity: f.validity, UID: f.add(raw.Bytes(), date, options.Flags)}, nil
}

// Poll tells the client what has changed in the folder.
func (s *imapSession) Poll(w *imapserver.UpdateWriter, allowExpunge bool) error {
	if s.folder == nil {
		return nil
	}
	return s.view.Poll(w, allowExpunge)
}

// Idle tells the client what changes in the folder until stop is closed. (The
// tracker's own Idle misses what changes between the answer to IDLE and its
// start.)
func (s *imapSession) Idle(w *imapserver.UpdateWriter, stop <-chan struct{}) error {
	if s.folder == nil {
		<-stop
		return nil
	}
	view := s.view
	changed, unwatch := s.folder.watch()
	defer unwatch()
	for {
		if err := view.Poll(w, true); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-stop:
			return nil
		}
	}
}

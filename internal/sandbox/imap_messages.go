package sandbox

import (
	"bufio"
	"bytes"
	"slices"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-message/textproto"
)

// numbered is a message with its number in the client's view of the folder.
type numbered struct {
	*message
	number  uint32
	flags   []imap.Flag // as they were when it was picked
	changed bool        // picking it changed them
}

// pick returns the messages of a set, after change was applied to their flags.
// The other sessions are told.
func (s *imapSession) pick(set imap.NumSet, change func(*message)) []numbered {
	f := s.folder
	f.mu.Lock()
	defer f.mu.Unlock()
	var picked []numbered
	for i, m := range f.messages {
		index := uint32(i) + 1
		number := s.view.EncodeSeqNum(index)
		if number == 0 || !s.contains(set, number, m.uid) {
			continue
		}
		before := m.flagList()
		change(m)
		after := m.flagList()
		changed := !slices.Equal(before, after)
		if changed {
			f.tracker.QueueMessageFlags(index, m.uid, after, s.view)
			f.wake()
		}
		picked = append(picked, numbered{m, number, after, changed})
	}
	return picked
}

// keep changes nothing.
func keep(*message) {}

// contains tells whether a set names a message. "*" is the last one, even
// when 9:* starts after it (RFC 3501 section 9, seq-range). The caller holds
// the folder's lock.
func (s *imapSession) contains(set imap.NumSet, number uint32, uid imap.UID) bool {
	last := s.folder.messages[len(s.folder.messages)-1]
	switch set := set.(type) {
	case imap.SeqSet:
		isLast := number == s.view.EncodeSeqNum(uint32(len(s.folder.messages)))
		return set.Contains(number) || isLast && set.Dynamic()
	case imap.UIDSet:
		return set.Contains(uid) || uid == last.uid && set.Dynamic()
	default:
		return false
	}
}

// Fetch answers FETCH. Nothing is locked while it writes: a client that reads
// slowly keeps nobody's mail waiting.
func (s *imapSession) Fetch(w *imapserver.FetchWriter, set imap.NumSet, options *imap.FetchOptions) error {
	change := keep
	for _, section := range options.BodySection {
		if !section.Peek {
			change = func(m *message) { m.flags[imap.FlagSeen] = true }
		}
	}
	for _, m := range s.pick(set, change) {
		if err := m.write(w.CreateMessage(m.number), options); err != nil {
			return err
		}
	}
	return nil
}

// write sends one FETCH response.
func (m numbered) write(w *imapserver.FetchResponseWriter, options *imap.FetchOptions) error {
	if options.UID {
		w.WriteUID(m.uid)
	}
	if options.Flags || m.changed {
		w.WriteFlags(m.flags)
	}
	if options.InternalDate {
		w.WriteInternalDate(m.date)
	}
	if options.RFC822Size {
		w.WriteRFC822Size(int64(len(m.raw)))
	}
	if options.Envelope {
		header, _ := textproto.ReadHeader(bufio.NewReader(bytes.NewReader(m.raw)))
		w.WriteEnvelope(imapserver.ExtractEnvelope(header))
	}
	if options.BodyStructure != nil {
		w.WriteBodyStructure(imapserver.ExtractBodyStructure(bytes.NewReader(m.raw)))
	}
	for _, section := range options.BodySection {
		if err := writeSection(w, section, m.section(section)); err != nil {
			// Close gives the connection's lock back, without which the
			// library waits for ever when the client has gone.
			_ = w.Close()
			return err
		}
	}
	return w.Close()
}

func writeSection(w *imapserver.FetchResponseWriter, section *imap.FetchItemBodySection, body []byte) error {
	literal := w.WriteBodySection(section, int64(len(body)))
	if _, err := literal.Write(body); err != nil {
		return err
	}
	return literal.Close()
}

// section returns a part of the message. The whole of it is exactly what was
// transmitted, whether it parses or not.
func (m *message) section(section *imap.FetchItemBodySection) []byte {
	if section.Specifier != imap.PartSpecifierNone || len(section.Part) > 0 {
		return imapserver.ExtractBodySection(bytes.NewReader(m.raw), section)
	}
	if section.Partial == nil {
		return m.raw
	}
	from := min(section.Partial.Offset, int64(len(m.raw)))
	return m.raw[from:min(from+section.Partial.Size, int64(len(m.raw)))]
}

// Store answers STORE.
func (s *imapSession) Store(w *imapserver.FetchWriter, set imap.NumSet, store *imap.StoreFlags, _ *imap.StoreOptions) error {
	for _, m := range s.pick(set, func(m *message) {
		if store.Op == imap.StoreFlagsSet {
			clear(m.flags)
		}
		m.setFlags(store.Flags, store.Op != imap.StoreFlagsDel)
	}) {
		if store.Silent {
			continue
		}
		response := w.CreateMessage(m.number)
		response.WriteUID(m.uid)
		response.WriteFlags(m.flags)
		if err := response.Close(); err != nil {
			return err
		}
	}
	return nil
}

// Copy answers COPY.
func (s *imapSession) Copy(set imap.NumSet, name string) (*imap.CopyData, error) {
	to := s.mailbox.folder(name)
	if to == nil {
		return nil, errTryMake
	}
	data := &imap.CopyData{UIDValidity: to.validity}
	for _, m := range s.pick(set, keep) {
		data.SourceUIDs.AddNum(m.uid)
		data.DestUIDs.AddNum(to.add(m.raw, m.date, m.flags))
	}
	return data, nil
}

// Move answers MOVE. The messages' disappearance shows when the client is next
// told what has changed, which is before this command is completed.
func (s *imapSession) Move(w *imapserver.MoveWriter, set imap.NumSet, name string) error {
	data, err := s.Copy(set, name)
	if err != nil {
		return err
	}
	if err := w.WriteCopyData(data); err != nil {
		return err
	}
	s.folder.remove(func(m *message) bool { return data.SourceUIDs.Contains(m.uid) })
	return nil
}

// Expunge removes the messages that are marked as deleted: all of them, or
// those of a set. It shows as in Move.
func (s *imapSession) Expunge(_ *imapserver.ExpungeWriter, uids *imap.UIDSet) error {
	s.folder.remove(func(m *message) bool {
		return m.has(imap.FlagDeleted) && (uids == nil || uids.Contains(m.uid))
	})
	return nil
}

// Search answers SEARCH.
func (s *imapSession) Search(kind imapserver.NumKind, criteria *imap.SearchCriteria, _ *imap.SearchOptions) (*imap.SearchData, error) {
	f := s.folder
	f.mu.Lock()
	defer f.mu.Unlock()
	var numbers imap.SeqSet
	var uids imap.UIDSet
	for i, m := range f.messages {
		number := s.view.EncodeSeqNum(uint32(i) + 1)
		if number != 0 && s.matches(m, number, criteria) {
			numbers.AddNum(number)
			uids.AddNum(m.uid)
		}
	}
	if kind == imapserver.NumKindUID {
		return &imap.SearchData{All: uids}, nil
	}
	return &imap.SearchData{All: numbers}, nil
}

package sandbox

import (
	"crypto/rand"
	"strings"
)

// PersonalTenantID is the tenant of all personal Microsoft accounts.
const PersonalTenantID = "9188040d-6c67-4c5b-b112-36a304b66dad"

// person is somebody who can sign in.
type person struct {
	address  string // of the account, and of its mailbox
	objectID string
	subject  string // "sub": the person's id for this application alone
	password string
	personal bool // a personal account, of no organisation
}

func newPerson(address string, personal bool) *person {
	return &person{
		address:  address,
		objectID: newGUID(),
		subject:  rand.Text() + rand.Text()[:17],
		password: rand.Text()[:16],
		personal: personal,
	}
}

// person returns who signs in with that address, or nil. A shared mailbox is
// nobody.
func (s *Sandbox) person(address string) *person { return s.people[strings.ToLower(address)] }

// belongsTo tells whether the person may sign in at the tenant, which may be
// one of the names that stand for many.
func (p *person) belongsTo(tenant string) bool {
	switch strings.ToLower(tenant) {
	case "common":
		return true
	case "consumers", PersonalTenantID:
		return p.personal
	}
	return !p.personal
}

// tenantID is the tenant in the person's tokens.
func (p *person) tenantID(i *issuer) string {
	if p.personal {
		return PersonalTenantID
	}
	return i.tenantID
}

// Password is what a person signs in with, "" for an address that nobody signs
// in with. Each run has its own.
func (s *Sandbox) Password(address string) string {
	if p := s.person(address); p != nil {
		return p.password
	}
	return ""
}

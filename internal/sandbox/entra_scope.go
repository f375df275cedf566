package sandbox

import (
	"slices"
	"strings"
)

const audienceGraph = "https://graph.microsoft.com"

// graphScopes are what the application may ask of Microsoft Graph. The
// permissions of the mail protocols are listed there as well.
var graphScopes = append([]string{"Mail.Send", "User.Read"}, userScopes...)

// resource is a service that a person's token is for.
type resource struct {
	audience    string
	permissions []string
}

// resources are known by the prefix of their scopes. A scope without one is
// Graph's, whose tokens open no mailbox.
var resources = map[string]resource{
	audienceDelegated + "/": {audienceDelegated, userScopes},
	audienceApp + "/":       {audienceDelegated, userScopes},
	audienceGraph + "/":     {audienceGraph, graphScopes},
	"":                      {audienceGraph, graphScopes},
}

// scopes are what a client asks for in a person's name (RFC 6749 section 3.3).
type scopes struct {
	prefix  string   // of the one resource, as the client wrote it
	names   []string // permissions of the resource, without prefix
	openID  bool     // an id_token
	offline bool     // a refresh token
}

// parseScopes splits a scope parameter. Scopes of two resources, and unknown
// ones, are refused with an AADSTS number.
func parseScopes(text string) (sc scopes, number int) {
	for _, scope := range strings.Fields(text) {
		switch scope {
		case "openid":
			sc.openID = true
		case "offline_access":
			sc.offline = true
		case "profile", "email":
		default:
			if number := sc.add(scope); number != 0 {
				return scopes{}, number
			}
		}
	}
	return sc, 0
}

// add adds a permission.
func (sc *scopes) add(scope string) (number int) {
	end := strings.LastIndex(scope, "/") + 1
	prefix, name := scope[:end], scope[end:]
	of, ok := resources[prefix]
	if !ok {
		return 500011
	}
	if len(sc.names) > 0 && resources[sc.prefix].audience != of.audience {
		return 28000
	}
	sc.prefix = prefix
	if name == ".default" {
		sc.names = slices.Clone(of.permissions)
		return 0
	}
	known := func(permission string) bool { return strings.EqualFold(permission, name) }
	i := slices.IndexFunc(of.permissions, known)
	if i < 0 {
		return 70011
	}
	if !slices.ContainsFunc(sc.names, known) {
		sc.names = append(sc.names, of.permissions[i])
	}
	return 0
}

func (sc scopes) audience() string { return resources[sc.prefix].audience }

// String is the scope parameter of an answer. openid, offline_access and
// profile are never in it.
func (sc scopes) String() string {
	var full []string
	for _, name := range sc.names {
		full = append(full, sc.prefix+name)
	}
	return strings.Join(full, " ")
}

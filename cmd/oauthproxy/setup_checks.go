package main

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"unicode"
)

// The checks of answers. What they let pass the configuration takes too.

// optional lets an empty answer pass.
func optional(check func(string) (string, error)) func(string) (string, error) {
	return func(answer string) (string, error) {
		if answer == "" {
			return "", nil
		}
		return check(answer)
	}
}

func checkAddress(answer string) (string, error) {
	name, host, _ := strings.Cut(answer, "@")
	switch {
	case answer == "":
		return "", errors.New("it takes an address such as alice@contoso.com")
	case name == "" || !strings.Contains(strings.Trim(host, "."), ".") || strings.ContainsFunc(answer, unicode.IsSpace) || strings.ContainsAny(answer, `<>"(),:;\`) || strings.Contains(host, "@"):
		return "", fmt.Errorf("%q is no address such as alice@contoso.com", answer)
	}
	return answer, nil
}

var (
	guid   = regexp.MustCompile(`^(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	domain = regexp.MustCompile(`^(?i)([0-9a-z]([0-9a-z-]{0,61}[0-9a-z])?\.)+[0-9a-z-]{2,63}$`)
)

func checkTenant(answer string) (string, error) {
	switch strings.ToLower(answer) {
	case "common", "organizations", "consumers":
		return "", errors.New("that stands for many directories, and it takes one")
	}
	if !guid.MatchString(answer) && !domain.MatchString(answer) {
		return "", errors.New("it takes an ID such as 11111111-2222-3333-4444-555555555555, or a domain such as contoso.onmicrosoft.com")
	}
	return answer, nil
}

// checkClientID doesn't quote what it refuses, which may be a secret.
func checkClientID(answer string) (string, error) {
	if !guid.MatchString(answer) {
		return "", errors.New("it takes an ID such as 66666666-7777-8888-9999-000000000000")
	}
	return answer, nil
}

func checkHost(answer string) (string, error) {
	ip, err := netip.ParseAddr(answer)
	switch {
	case err != nil || ip.Zone() != "":
		return "", errors.New("it takes an IP address of this machine, such as 192.168.10.5; 0.0.0.0 is all that it has")
	case ip.Unmap().IsLoopback():
		return "", errors.New("other machines can't reach that address")
	}
	return ip.Unmap().String(), nil
}

// checkNetworks returns networks parted by commas.
func checkNetworks(answer string) (string, error) {
	var all []string
	for _, word := range strings.FieldsFunc(answer, func(c rune) bool { return c == ',' || c == ' ' }) {
		n, err := netip.ParsePrefix(word)
		if ip, ipErr := netip.ParseAddr(word); ipErr == nil && ip.Zone() == "" {
			n, err = netip.PrefixFrom(ip, ip.BitLen()), nil
		}
		switch {
		case err != nil || n.Addr().Is4In6():
			return "", fmt.Errorf("%q is no network such as 192.168.10.0/24 and no address", word)
		case n.Bits() < 8:
			return "", fmt.Errorf("%s is nearly everybody, and passwords would cross the network readable", n)
		}
		all = append(all, n.Masked().String())
	}
	if len(all) == 0 {
		return "", errors.New("name at least one network, such as 192.168.10.0/24")
	}
	return strings.Join(all, ", "), nil
}

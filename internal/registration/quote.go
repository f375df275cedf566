package registration

import (
	"strings"

	"oauthproxy/internal/remedy"
)

// quote returns text as a literal of PowerShell.
func quote(text string) string { return remedy.QuotePowerShell(text) }

// quoteAll returns the texts as a list of literals.
func quoteAll(texts []string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = quote(text)
	}
	return strings.Join(quoted, ", ")
}

// filterValue returns text as a value in a filter of Exchange (OPATH), where
// a quotation mark is doubled as well.
func filterValue(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

package registration

import "strings"

// quote returns text as a literal of PowerShell, in which nothing has a
// meaning but the quotation mark itself, which is doubled. To PowerShell the
// typographic ones end such a literal too.
func quote(text string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for _, c := range text {
		if strings.ContainsRune("'\u2018\u2019\u201a\u201b", c) {
			b.WriteRune(c)
		}
		b.WriteRune(c)
	}
	b.WriteByte('\'')
	return b.String()
}

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

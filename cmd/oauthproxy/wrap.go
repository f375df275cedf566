package main

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// Widths of lines, in columns.
const (
	usualWidth  = 80 // where nobody tells
	widestProse = 90 // longer lines are hard to read
	leastWidth  = 30
)

// widthOf is how wide prose on the stream may be.
func widthOf(stream any) int {
	terminal, ok := isTerminal(stream)
	if !ok {
		return usualWidth
	}
	width, _, err := term.GetSize(terminal)
	if err != nil || width <= 0 {
		return usualWidth
	}
	// One column stays free: some terminals wrap when the last one is filled.
	return max(leastWidth, min(width-1, widestProse))
}

// wrap breaks text at blanks into lines that aren't wider than width. The
// first one begins with first, the others with blanks below it. A word is
// never broken: it may be an address or a file.
func wrap(text, first string, width int) string {
	indent := strings.Repeat(" ", utf8.RuneCountInString(first))
	var b strings.Builder
	b.WriteString(first)
	column := len(indent)
	for i, word := range strings.Fields(text) {
		length := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case column+1+length > width:
			b.WriteString("\n" + indent)
			column = len(indent)
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += length
	}
	return b.String()
}

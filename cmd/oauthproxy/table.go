package main

import (
	"strings"
	"unicode/utf8"
)

// table is text in columns that is made to fit.
type table struct {
	columns []column
	rows    [][]string
}

// column is one of a table's. Cells of more than least characters may be cut;
// zero: they may not. An optional column is left out where cutting isn't enough.
type column struct {
	title           string
	least           int
	right, optional bool
}

func (t *table) add(cells ...string) {
	for i, cell := range cells {
		cells[i] = printable(cell)
	}
	t.rows = append(t.rows, cells)
}

// text is the table in lines of at most width characters, as far as that can be.
func (t table) text(width int) string {
	widths := t.natural()
	for {
		wide := overlong(t.columns, widths, width)
		if wide < 0 {
			break
		}
		if wide < len(widths) {
			widths[wide]--
			continue
		}
		if !t.leaveOut() {
			break
		}
		widths = t.natural()
	}
	var b strings.Builder
	titles := make([]string, len(t.columns))
	for i, c := range t.columns {
		titles[i] = c.title
	}
	t.line(&b, titles, widths)
	for _, row := range t.rows {
		t.line(&b, row, widths)
	}
	return b.String()
}

// natural are the widths that cut nothing.
func (t table) natural() []int {
	widths := make([]int, len(t.columns))
	for i, c := range t.columns {
		widths[i] = utf8.RuneCountInString(c.title)
		for _, row := range t.rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	return widths
}

// between is how far apart columns are.
const between = 2

// overlong returns the column to cut next: the widest of those that may be. It
// is negative if all fits, and no column's if none may be cut.
func overlong(columns []column, widths []int, width int) int {
	sum := -between
	widest := len(widths)
	for i, w := range widths {
		sum += w + between
		if columns[i].least > 0 && w > columns[i].least && (widest == len(widths) || w > widths[widest]) {
			widest = i
		}
	}
	if sum <= width {
		return -1
	}
	return widest
}

// leaveOut removes the last optional column.
func (t *table) leaveOut() bool {
	for i := len(t.columns) - 1; i >= 0; i-- {
		if !t.columns[i].optional {
			continue
		}
		t.columns = without(t.columns, i)
		rows := make([][]string, len(t.rows))
		for n, row := range t.rows {
			rows[n] = without(row, i)
		}
		t.rows = rows
		return true
	}
	return false
}

func without[T any](all []T, i int) []T { return append(append([]T(nil), all[:i]...), all[i+1:]...) }

func (t table) line(b *strings.Builder, cells []string, widths []int) {
	var line strings.Builder
	for i, cell := range cells {
		cell = cut(cell, widths[i])
		blanks := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if i > 0 {
			line.WriteString(strings.Repeat(" ", between))
		}
		if t.columns[i].right {
			line.WriteString(blanks + cell)
		} else {
			line.WriteString(cell + blanks)
		}
	}
	b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
}

// cut shortens a text to so many characters.
func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:max(0, width-1)]) + "…"
}

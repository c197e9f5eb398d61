package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Problem is one thing that is wrong in a file, with its place.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Path    string `json:"path,omitempty"` // thresholds[0].ladder[2]
	Message string `json:"message"`
	Lint    string `json:"-"` // of a warning: the lint of internal/lint that says the same, and more
}

// String returns file:line:column: path: message.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": ")
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	return b.String() + p.Message
}

// Errors are all problems of a file, in the order of its lines.
type Errors []Problem

// Error returns one problem per line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// inOrder sorts by place and keeps the first maxProblems.
func (e Errors) inOrder() Errors {
	slices.SortStableFunc(e, func(a, b Problem) int {
		return cmp.Or(a.Line-b.Line, a.Column-b.Column,
			cmp.Compare(a.Path, b.Path))
	})
	if len(e) > maxProblems {
		e = append(e[:maxProblems:maxProblems], Problem{File: e[0].File,
			Message: fmt.Sprintf("too many errors; only the first %d are shown", maxProblems)})
	}
	return e
}

// Excerpt returns the problems with the lines of the file around them, for a terminal.
// Secrets in these lines are hidden.
func (e Errors) Excerpt(source []byte) string {
	lines := strings.Split(string(source), "\n")
	h := newHider(source, secretsOf(source))
	var b strings.Builder
	for _, p := range e {
		fmt.Fprintln(&b, p)
		if p.Line < 1 || p.Line > len(lines) {
			continue
		}
		for n := max(1, p.Line-1); n <= min(len(lines), p.Line+1); n++ {
			mark := " "
			if n == p.Line {
				mark = ">"
			}
			line := printable(apply(lines[n-1], h.spans(n)))
			fmt.Fprintf(&b, "  %s %4d | %s\n", mark, n, line)
			if n == p.Line {
				fmt.Fprintf(&b, "         | %s^\n", strings.Repeat(" ",
					min(moved(max(0, p.Column-1), h.spans(n)), len(line))))
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

// printable keeps a line of a file from steering the terminal it is shown on.
func printable(line string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\r':
			return -1
		case unicode.IsPrint(r):
			return r
		}
		return ' '
	}, line)
}

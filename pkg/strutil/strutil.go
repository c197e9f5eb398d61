// Package strutil makes what others wrote fit to be shown: in a log line, a message, a
// terminal, an object.
//
// It owns how text is cut and how it becomes one line. Its one rule: what comes out is
// valid UTF-8 if what went in was.
package strutil

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const mark = "…"

// Cut shortens s to at most n bytes, at the end of a character; a mark says that it was
// cut, and takes 3 of them.
func Cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n = max(n, len(mark)) - len(mark); n > 0 && !utf8.RuneStart(s[n]); n-- {
	}
	return s[:n] + mark
}

// Shorten shortens s to at most n characters, the mark among them.
func Shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	if r := []rune(s); len(r) > n {
		return string(r[:max(n, 1)-1]) + mark
	}
	return s
}

// Visible replaces what breaks a line, turns its direction or steers a terminal with a
// blank: control and format characters, separators of lines and paragraphs, and what is
// no UTF-8.
func Visible(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' ||
			r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, s)
}

// Line is s as one line of printable characters, with single blanks between words.
func Line(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, string(unicode.ReplacementChar)))), " ")
}

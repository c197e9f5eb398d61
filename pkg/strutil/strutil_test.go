package strutil

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCut(t *testing.T) {
	for _, tt := range []struct {
		s    string
		n    int
		want string
	}{
		{"abcd", 0, "…"}, {"", 3, ""}, {"abc", 3, "abc"}, {"abcd", 3, "…"}, {"abcdef", 5, "ab…"},
		{"äöü", 6, "äöü"}, {"äöü", 5, "ä…"}, {"aäö", 4, "a…"}, // never within a character
	} {
		if got := Cut(tt.s, tt.n); got != tt.want {
			t.Errorf("%q in %d bytes: %q, want %q", tt.s, tt.n, got, tt.want)
		}
	}
	for _, tt := range []struct {
		s    string
		n    int
		want string
	}{{"abcd", 0, "…"}, {"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"äöüß", 4, "äöüß"}, {"äöüß", 3, "äö…"}} {
		if got := Shorten(tt.s, tt.n); got != tt.want {
			t.Errorf("%q in %d characters: %q, want %q", tt.s, tt.n, got, tt.want)
		}
	}
}

func TestLineAndVisible(t *testing.T) {
	for _, tt := range []struct{ s, visible, line string }{
		{"a  b", "a  b", "a b"},
		{"a\r\nlevel=error\tb", "a  level=error b", "a level=error b"},
		{"a\x1b[31mred", "a [31mred", "a [31mred"},
		{"pay\u202eload", "pay load", "pay load"}, // turns the direction
		{"a\u2028b\u2029c", "a b c", "a b c"},
		{"\xffa", " a", "\uFFFDa"},
	} {
		if got := Visible(tt.s); got != tt.visible {
			t.Errorf("visible %q: %q, want %q", tt.s, got, tt.visible)
		}
		if got := Line(tt.s); got != tt.line {
			t.Errorf("line %q: %q, want %q", tt.s, got, tt.line)
		}
	}
}

func FuzzStrings(f *testing.F) {
	f.Add("a\x1b[31m\u202e…\xff", 5)
	f.Fuzz(func(t *testing.T, s string, n int) {
		n = 3 + max(0, n)%1000
		if got := Cut(s, n); len(got) > max(n, 0) || utf8.ValidString(s) && !utf8.ValidString(got) ||
			!strings.HasPrefix(s, strings.TrimSuffix(got, mark)) {
			t.Errorf("%q in %d bytes: %q", s, n, got)
		}
		if got := Shorten(s, n); utf8.RuneCountInString(got) > n {
			t.Errorf("%q in %d characters: %q", s, n, got)
		}
		for _, got := range []string{Visible(s), Line(s)} {
			if strings.ContainsAny(got, "\r\n\x1b\u202e\u2028") {
				t.Errorf("%q became %q", s, got)
			}
		}
	})
}

package config

import (
	"regexp"
	"slices"
	"strings"
)

// span is a part of a line, in bytes.
type span struct{ from, to int }

// merged sorts spans and joins those that overlap.
func merged(all []span) []span {
	slices.SortFunc(all, func(a, b span) int { return a.from - b.from })
	var out []span
	for _, s := range all {
		if n := len(out); n > 0 && s.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, s.to)
			continue
		}
		if s.from < s.to {
			out = append(out, s)
		}
	}
	return out
}

// apply hides the spans of a text.
func apply(text string, all []span) string {
	var b strings.Builder
	at := 0
	for _, s := range merged(all) {
		b.WriteString(text[at:s.from])
		b.WriteString(hiddenText)
		at = s.to
	}
	return b.String() + text[at:]
}

// moved is where a byte of the text is once the spans are hidden.
func moved(at int, all []span) int {
	by := 0
	for _, s := range merged(all) {
		switch {
		case at >= s.to:
			by += len(hiddenText) - (s.to - s.from)
		case at > s.from:
			return s.from + by
		}
	}
	return at + by
}

// occurrences are where a secret stands in a line under a key that does not look like one.
func occurrences(line, secret string) (all []span) {
	for at := 0; len(secret) >= minSecret; {
		i := strings.Index(line[at:], secret)
		if i < 0 {
			break
		}
		all = append(all, span{at + i, at + i + len(secret)})
		at += i + len(secret)
	}
	return all
}

// keyShape finds keys of YAML and JSON, also several in a line and in a comment. The
// groups are the key, in quotes or not.
var keyShape = regexp.MustCompile(`"([A-Za-z][\w.-]*)"\s*:\s*|'([A-Za-z][\w.-]*)'\s*:(?:\s+|$)|([A-Za-z][\w.-]*)\s*:(?:\s+|$)`)

// secretSpans finds the values under keys that look secret, line by line: a file with
// an error in its YAML has no more structure than that. Where it is not certain how far
// a value goes, more is hidden rather than less.
func secretSpans(lines []string) [][]span {
	spans := make([][]span, len(lines))
	s := lineScanner{below: -1}
	for i, line := range lines {
		spans[i] = s.scan(strings.TrimRight(line, "\r"))
	}
	return spans
}

// lineScanner is what the lines before say about the next.
type lineScanner struct {
	below  int    // lines that are indented deeper than this belong to a secret; -1: none do
	blocks bool   // they may be a mapping or a list, whose keys stay visible
	open   string // the quote that ends the secret
	named  bool   // the line before was `name: PASSWORD`, so `value:` is a secret
}

func (s *lineScanner) scan(line string) []span {
	body := strings.TrimLeft(line, " \t")
	indent := len(line) - len(body)
	if s.open != "" {
		end := closing(line, 0, s.open)
		if end < 0 {
			return []span{{indent, len(line)}}
		}
		s.open, s.below = "", -1
		return append([]span{{indent, end}}, s.keys(line, end)...)
	}
	if s.below >= 0 {
		switch {
		case body == "":
			return nil
		case indent > s.below || s.blocks && indent == s.below && strings.HasPrefix(body, "-"):
			return s.inside(line, indent)
		}
		s.below = -1
	}
	return s.keys(line, 0)
}

// inside hides a line that belongs to a secret. In a mapping below it, keys and paths
// of files stay visible.
func (s *lineScanner) inside(line string, indent int) []span {
	if m := keyShape.FindStringSubmatchIndex(line); s.blocks && m != nil && strings.Trim(line[:m[0]], " \t-") == "" {
		value := strings.TrimSpace(line[m[1]:])
		if plainKey(keyOf(line, m)) || value == "" || strings.HasPrefix(value, "#") {
			return nil
		}
		return []span{{m[1], len(line)}}
	}
	if strings.HasPrefix(strings.TrimSpace(line), "#") && s.blocks {
		return s.keys(line, 0)
	}
	return []span{{indent, len(line)}}
}

func keyOf(line string, m []int) string {
	for g := 2; g < len(m); g += 2 {
		if m[g] >= 0 {
			return line[m[g]:m[g+1]]
		}
	}
	return ""
}

// keys hides the values of the secret keys in a line.
func (s *lineScanner) keys(line string, from int) (all []span) {
	named := s.named
	if strings.TrimSpace(line) != "" {
		s.named = false
	}
	if !named && !mentionsSecret(line[from:]) {
		return nil
	}
	depth, counted := 0, 0 // of brackets that are open before counted
	for from <= len(line) {
		m := keyShape.FindStringSubmatchIndex(line[from:])
		if m == nil {
			return all
		}
		for g := range m {
			if m[g] >= 0 {
				m[g] += from
			}
		}
		key, at := keyOf(line, m), m[1]
		value := line[at:]
		from = at
		if key == "name" {
			word := strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(" \t,}\"'", r) })
			s.named = len(word) > 0 && secretKey(word[0])
			named = named || s.named
			continue
		}
		if !secretKey(key) && !(named && key == "value") || isBlock(key) &&
			(value == "" || value[0] == '{' || value[0] == '#') {
			continue
		}
		depth += opened(line[counted:at])
		counted = at
		end := s.value(line, at, m[0], depth > 0)
		if end > at {
			all = append(all, span{at, end})
		}
		from = max(end, at)
	}
	return all
}

// opened is how many more brackets are opened in a text than closed.
func opened(text string) int {
	return strings.Count(text, "{") + strings.Count(text, "[") - strings.Count(text, "}") - strings.Count(text, "]")
}

// value returns where the value of a secret key that begins at a byte of the line ends,
// and notes whether it goes on in the next lines.
func (s *lineScanner) value(line string, at, key int, flow bool) (end int) {
	value := line[at:]
	below := func(blocks bool) { s.below, s.blocks = len(line)-len(strings.TrimLeft(line, " \t")), blocks }
	switch {
	case value == "" || value[0] == '#':
		below(true)
		s.below = key
		return at
	case blockHeader.MatchString(value):
		below(false)
		return at
	case value[0] == '"' || value[0] == '\'':
		if end := closing(line, at+1, value[:1]); end >= 0 {
			return end
		}
		s.open = value[:1]
		return len(line)
	case value[0] == '{' || value[0] == '[':
		if end := strings.LastIndexAny(value, "}]"); end >= 0 {
			return at + end + 1
		}
		below(false)
		return len(line)
	case flow:
		for i := range len(value) {
			if value[i] == '}' || value[i] == ']' || value[i] == ',' && (i+1 == len(value) || value[i+1] == ' ') {
				return at + i
			}
		}
		return len(line)
	}
	below(false)
	return len(line)
}

// blockHeader is what stands before the lines of a block scalar.
var blockHeader = regexp.MustCompile(`^(?:[&!]\S*\s+)*[|>][-+0-9]*\s*(?:#.*)?$`)

// closing returns the byte after the quote that ends what begins at a byte of the line;
// -1: it goes on in the next line.
func closing(line string, from int, quote string) int {
	for i := from; i < len(line); i++ {
		switch {
		case quote == `"` && line[i] == '\\':
			i++
		case quote == "'" && strings.HasPrefix(line[i:], "''"):
			i++
		case line[i] == quote[0]:
			return i + 1
		}
	}
	return -1
}

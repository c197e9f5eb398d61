package config

import (
	"cmp"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"
)

// hiddenText stands where a secret stood.
const hiddenText = "<hidden>"

// secretWords are the words that make a key look like the name of a secret, and
// plainWords those that say that it is the name of a file or an object instead.
var (
	secretWords = []string{"password", "passwords", "passwd", "passphrase", "pwd", "token", "tokens", "secret",
		"secrets", "key", "keys", "apikey", "credential", "credentials", "authorization", "bearer", "cookie", "dsn"}
	plainWords = []string{"file", "files", "path", "dir", "name", "names", "existing", "ref", "pull", "id"}
)

// secretKey reports whether a value under this key is taken for a secret: api_key,
// routing_key, apiKey, X-Auth-Token, but not password_file, existingSecret.
func secretKey(key string) bool {
	if !mentionsSecret(key) {
		return false
	}
	words := strings.FieldsFunc(strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return ' '
	}, camel.ReplaceAllString(key, "$1 $2")), unicode.IsSpace)
	is := func(list []string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(list, strings.ToLower(w)) })
	}
	return is(secretWords) && !is(plainWords)
}

// mentionsSecret reports whether a text may have one of secretWords in it: most have none,
// and that is known fast.
func mentionsSecret(text string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc(secretStems, func(stem string) bool { return strings.Contains(text, stem) })
}

// secretStems are parts of all secretWords.
var secretStems = []string{"key", "token", "secret", "pass", "pwd", "credential", "authorization", "bearer", "cookie",
	"dsn"}

var camel = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// secretShapes are texts that are secrets whatever the key; the part to hide is the
// first group.
var secretShapes = []*regexp.Regexp{
	regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#\s"'@]*(?:@[^/?#\s"'@]*)*)@`),
	regexp.MustCompile(`(?i)(?:hooks\.slack\.com/(?:services|workflows|triggers)|discord(?:app)?\.com/api/webhooks|` +
		`webhook\.office\.com/webhookb2|outlook\.office\.com/webhook|` +
		`events\.pagerduty\.com/integration|hc-ping\.com|nosnch\.in|api\.telegram\.org)/([^\s"'` + "`" + `,}\]]+)`),
	regexp.MustCompile(`(?i)https?://[^\s"'` + "`" + `?#]*/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|` +
		`[0-9a-f]{20,}|[a-z_]*[0-9][a-z0-9_]{19,})`),
	regexp.MustCompile(`(?i)[?&][a-z_.-]*(?:token|key|secret|password|passwd|sig|signature|auth|code)=([^&\s"'` + "`" + `#]+)`),
	regexp.MustCompile(`(?i)\b(?:bearer|basic)\s+([a-z0-9._~+/=-]{6,})`),
	regexp.MustCompile(`\b((?:xox[a-z]|xapp|gh[a-z]|glpat|glsa|sk|pk)[-_][A-Za-z0-9_-]{6,}|AKIA[A-Z0-9]{12,}|` +
		`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_.-]+)`),
}

// shapesHidden hides what has the shape of a secret.
func shapesHidden(text string) string {
	return apply(text, shapeSpans(text))
}

func shapeSpans(text string) (all []span) {
	for _, re := range secretShapes {
		for _, m := range re.FindAllStringSubmatchIndex(text, -1) {
			all = append(all, span{m[2], m[3]})
		}
	}
	return all
}

// hider knows the secrets that stand in a file, though they should not, and hides them
// in what is said of it.
type hider struct {
	lines  []string
	keyed  [][]span // values under secret keys, of each line
	values []string // longest first
	many   bool     // so many that no text is searched for them: then nothing is quoted
}

// maxSecrets bounds how many secrets a text is searched for.
const maxSecrets = 10_000

// newHider reads the text of a file; values are those that secretsIn found in it.
func newHider(text []byte, values []string) *hider {
	h := &hider{lines: strings.Split(string(text), "\n"), values: slices.Clone(values)}
	h.keyed = secretSpans(h.lines)
	for i, line := range h.lines {
		for _, s := range h.keyed[i] {
			h.learn(strings.Trim(strings.TrimSpace(line[s.from:s.to]), `"'`))
		}
	}
	slices.SortFunc(h.values, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	if h.values = slices.Compact(h.values); len(h.values) > maxSecrets {
		h.values, h.many = nil, true
	}
	return h
}

// spans are what is hidden of a line; the first is 1.
func (h *hider) spans(line int) []span {
	text := h.lines[line-1]
	all := slices.Concat(h.keyed[line-1], shapeSpans(text))
	for _, v := range h.values {
		all = append(all, occurrences(text, v)...)
	}
	return all
}

// minSecret is the shortest secret that is looked for everywhere: a shorter one, such as
// 1, would hide half of the text, and is looked for in quotes only.
const minSecret = 4

func (h *hider) learn(value string) {
	for v := range strings.Lines(value) {
		if v = strings.TrimLeft(strings.TrimSpace(v), "*&!"); v != "" && v != "true" && v != "false" && v != "null" {
			h.values = append(h.values, v)
		}
	}
}

// secretsIn are the values under secret keys, also those that an alias stands for.
func secretsIn(root *yaml.Node) []string {
	h := &hider{}
	h.walk(root, false)
	return h.values
}

func (h *hider) walk(n *yaml.Node, secret bool) {
	switch n.Kind {
	case yaml.ScalarNode:
		if secret {
			h.learn(n.Value)
		}
	case yaml.AliasNode:
		if secret && n.Alias != nil && n.Alias.Kind == yaml.ScalarNode {
			h.learn(n.Alias.Value)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i].Value
			h.walk(n.Content[i+1], secretKey(key) && !nested(key, n.Content[i+1]) || secret && !plainKey(key))
		}
	default:
		for _, c := range n.Content {
			h.walk(c, secret)
		}
	}
}

// nested reports whether the value is a block of options with a name that looks secret:
// authorization has a type, and what is secret in it has a key of its own.
func nested(key string, value *yaml.Node) bool {
	return isBlock(key) && value.Kind == yaml.MappingNode
}

func isBlock(key string) bool { return strings.EqualFold(key, "authorization") }

// plainKey reports whether what stands under the key helps and is no secret: the path
// of a file.
func plainKey(key string) bool {
	return strings.HasSuffix(key, "_file") || strings.HasSuffix(key, "_files") || strings.HasSuffix(key, "File")
}

var quoted = regexp.MustCompile("\"(?:[^\"\\\\]|\\\\.)*\"|`[^`]*`|'[^']*'")

// text hides all secrets in what is said of the file.
func (h *hider) text(s string) string {
	for _, v := range h.values {
		s = replaced(s, v)
	}
	if h.many {
		s = quoted.ReplaceAllString(s, `"`+hiddenText+`"`)
	}
	return shapesHidden(s)
}

// replaced hides a value, also as Go quotes it and as the YAML library cuts it.
func replaced(s, v string) string {
	forms := []string{v}
	if q := strconv.Quote(v); q != `"`+v+`"` {
		forms = append(forms, q[1:len(q)-1])
	}
	if len(v) > 10 {
		forms = append(forms, v[:7]+"...")
	}
	for _, f := range forms {
		if len(v) >= minSecret {
			s = strings.ReplaceAll(s, f, hiddenText)
			continue
		}
		for _, mark := range []string{`"`, "`", "'"} {
			s = strings.ReplaceAll(s, mark+f+mark, mark+hiddenText+mark)
		}
	}
	return s
}

// problems hides the secrets in what is said of the file. At the place of a secret,
// nothing is quoted.
func (h *hider) problems(all []Problem) {
	for i, p := range all {
		last := p.Path[strings.LastIndexByte(p.Path, '.')+1:]
		if last, _, _ = strings.Cut(last, "["); secretKey(last) || h.at(p.Line, p.Column) {
			p.Message = quoted.ReplaceAllString(p.Message, `"`+hiddenText+`"`)
		}
		all[i].Message, all[i].Path = h.text(p.Message), h.text(p.Path)
	}
}

// at reports whether a secret is at that place.
func (h *hider) at(line, column int) bool {
	return line >= 1 && line <= len(h.lines) && slices.ContainsFunc(h.spans(line),
		func(s span) bool { return s.from <= column-1 && column-1 < s.to })
}

// Hide replaces the secrets that stand in the file, though they should not, in a text
// that quotes it.
func (c *Config) Hide(text string) string {
	if c == nil || c.secrets == nil {
		return shapesHidden(text)
	}
	return c.secrets().text(text)
}

// HideIn does the same for an error of what is built from the file.
func (c *Config) HideIn(err error) error { return hide(err, c.Hide) }

// HideIn replaces the secrets that stand in another file of YAML, such as the manifest
// of a Job, in an error that may quote it.
func HideIn(file []byte, err error) error {
	return hide(err, func(text string) string { return newHider(file, secretsOf(file)).text(text) })
}

func hide(err error, in func(string) string) error {
	if err == nil {
		return nil
	}
	if text := in(err.Error()); text != err.Error() {
		return errors.New(text) // what err wraps would show them
	}
	return err
}

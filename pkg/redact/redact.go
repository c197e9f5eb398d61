// Package redact takes secrets out of what leaves the process.
//
// It owns redaction: of what looks like a secret, for evidence, which is other people's
// text; and of the secrets that this process has read itself, for everything. It leaves
// collecting to kube, and applying to app.
//
// Its one rule: a secret does not leave it.
package redact

import "regexp"

// pattern is one form of secret and what is written in its place.
type pattern struct {
	re *regexp.Regexp
	to string
}

// name is what a secret is called, with what stands before and behind.
const name = `(?:[a-z0-9]+[_-])*(?:authorization|password|passwd|passphrase|pwd|secret|token|api[_-]?key|` +
	`access[_-]?key|private[_-]?key|credentials?)(?:[_-][a-z0-9]+)*`

// patterns in the order in which they are applied. What is named comes before
// what is only known by its form: the other way round, a form takes the name of
// the next secret for its value and leaves the secret.
func patterns() []pattern {
	p := func(re, to string) pattern { return pattern{regexp.MustCompile(re), to} }
	// In quoted JSON the quotes have backslashes. Several names may stand before one value.
	named := name + `\\*["']?\s*[:=]\s*`
	lead := `(?:` + named + `\\*["']?|--` + name + `\s+)`
	scheme := `(?:basic|bearer|oauth|token|negotiate|digest|apikey|aws4-hmac-sha256)\s+`
	return []pattern{
		p(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`, "<redacted private key>"),
		p(`(?i)(`+lead+`(?:`+lead+`|`+scheme+`)*)[^\s"',;&}]+`, "${1}<redacted>"),
		p(`(?i)(`+named+`)(?:"(?:[^"\\\n]|\\.)*"?|'[^'\n]*'?|\\+["'].*?(?:\\+["']|$))`, `${1}"<redacted>"`),
		// Before what may take the beginning of a URL for a token and leave the password.
		p(`([a-z][a-z0-9+.-]*://)[^\s/:@"']*:[^\s"']+@`, "${1}<redacted>@"),
		p(`(?i)\b(bearer|oauth)\s+[a-z0-9._~+/=-]{8,}`, "$1 <redacted>"),
		p(`\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(\.[A-Za-z0-9_-]*)?`, "<redacted JWT>"),
		p(`\b(AKIA|ASIA|AGPA|AROA|AIDA)[A-Z0-9]{16}\b`, "<redacted AWS key id>"),
		p(`\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}`, "<redacted GitHub token>"),
		p(`\bxox[abprs]-[A-Za-z0-9-]{8,}|\bxapp-[A-Za-z0-9-]{8,}`, "<redacted Slack token>"),
		p(`\bsk-[A-Za-z0-9_-]{16,}`, "<redacted API key>"),
		p(`\bAIza[A-Za-z0-9_-]{30,}`, "<redacted API key>"),
	}
}

// Text replaces what looks like a secret: private keys, tokens, passwords in
// key=value form and in URLs. It errs on the side of taking too much. A JSON document
// stays one.
func Text(text string) string { return Patterns()(text) }

// Patterns returns a Text that compiles its patterns once, for many or large texts.
func Patterns() func(string) string {
	all := patterns()
	plain := func(text string) string {
		for _, p := range all {
			text = p.re.ReplaceAllString(text, p.to)
		}
		return text
	}
	return func(text string) string {
		if doc, ok := document(text, plain); ok {
			return doc
		}
		return plain(text)
	}
}

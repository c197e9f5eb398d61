package slack

import (
	"strings"
	"unicode/utf16"
)

// cutMarkup shortens a text in Slack's markup to n characters, counted as UTF-16 as Slack
// does. It never ends within an entity, a link, a command in back quotes or a character
// that is made of several: Slack shows nothing of what follows half an entity.
func cutMarkup(s string, n int) string {
	used, end := 0, 0
	for at, r := range s {
		size := max(1, utf16.RuneLen(r))
		if used+size > n-1 && end == 0 {
			end = at
		}
		if used += size; used > n {
			return whole(s[:end]) + "…"
		}
	}
	return s
}

// longest are how long an entity and a link of ours can be.
const (
	longestEntity = len("&amp;")
	longestLink   = 3000
)

// whole takes off the end what was begun and is not finished.
func whole(s string) string {
	if at := strings.LastIndexByte(s, '<'); at >= 0 && len(s)-at < longestLink && !strings.Contains(s[at:], ">") {
		s = s[:at]
	}
	if line := s[strings.LastIndexByte(s, '\n')+1:]; strings.Count(line, "`")%2 == 1 {
		s = s[:strings.LastIndexByte(s, '`')]
	}
	if at := strings.LastIndexByte(s, '&'); at >= 0 && len(s)-at < longestEntity && !strings.Contains(s[at:], ";") {
		s = s[:at]
	}
	// A joiner or a sign that changes the character before it says nothing alone.
	return strings.TrimRight(s, "\u200b\u200d\ufe0f")
}

package ingest

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// Bounds of the shape of a body. They are read off before it is decoded, so that a
// body made to be expensive costs no more than its own bytes.
const (
	maxDepth   = 32      // the payload needs 4
	maxMembers = 1024    // of one object: the labels, of which most are left out if they are so many
	maxTotal   = 500_000 // members of all objects; 10,000 alerts with 15 labels and 10 annotations have 320,000
)

// survey refuses a body that is no text, or whose shape no webhook has. It does
// not check that the body is JSON.
func survey(body []byte) error {
	if !utf8.Valid(body) {
		return errors.New("the body is not UTF-8")
	}
	var (
		opened       [maxDepth + 1]byte // per depth: { or [
		counts       [maxDepth + 1]int  // per depth: members, or elements after the first
		depth, total int
	)
	for i := 0; i < len(body); i++ {
		switch c := body[i]; c {
		case '"':
			i = closing(body, i)
		case '{', '[':
			if depth++; depth > maxDepth {
				return fmt.Errorf("the body is nested more than %d levels deep", maxDepth)
			}
			opened[depth], counts[depth] = c, 0
		case '}', ']':
			depth = max(0, depth-1)
		case ':':
			counts[depth]++
			total++
			if counts[depth] > maxMembers {
				return fmt.Errorf("an object of the body has more than %d members; an alert may have %d labels",
					maxMembers, maxLabels)
			}
			if total > maxTotal {
				return fmt.Errorf("the body has more than %d members; send fewer alerts per request (max_alerts)", maxTotal)
			}
		case ',':
			if opened[depth] != '[' {
				continue
			}
			if counts[depth]++; counts[depth] >= maxAlerts {
				return fmt.Errorf("the body has more than %d alerts; send fewer per request (max_alerts: %d)", maxAlerts,
					maxAlerts)
			}
		}
	}
	return nil
}

// closing returns where the string that opens at i ends.
func closing(body []byte, i int) int {
	for i++; i < len(body) && body[i] != '"'; i++ {
		if body[i] == '\\' {
			i++
		}
	}
	return i
}

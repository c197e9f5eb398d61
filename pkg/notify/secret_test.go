package notify

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestSecretsPrintAsRedacted_SEC21(t *testing.T) {
	s := Secret{file: "/f"}
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%+v", s), s.String()} {
		if text != "<redacted>" {
			t.Errorf("%q", text)
		}
	}
	if b, _ := json.Marshal([]any{s}); strings.Contains(string(b), "/f") {
		t.Errorf("%s", b)
	}
}

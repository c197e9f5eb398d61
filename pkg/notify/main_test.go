package notify

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"watchdog.io/watchdog/internal/recorders"
)

// authority is who signs for the recorders of these tests; the system's own list
// of authorities is made to be it alone, since most receivers have no ca_file.
var authority *recorders.Authority

// caFile is authority as a file.
var caFile string

func TestMain(m *testing.M) {
	code, err := trusting(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "notify:", err)
		code = 1
	}
	os.Exit(code)
}

func trusting(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "watchdog-notify-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	if authority, err = recorders.NewAuthority(); err != nil {
		return 1, err
	}
	caFile = filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(caFile, authority.PEM(), 0o600); err != nil {
		return 1, err
	}
	for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if err := os.Setenv(name, map[string]string{"SSL_CERT_FILE": caFile, "SSL_CERT_DIR": dir}[name]); err != nil {
			return 1, err
		}
	}
	return m.Run(), nil
}

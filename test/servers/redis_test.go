//go:build integration

package servers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/probes"
)

func TestRedisIsProbed(t *testing.T) {
	dir, plain, secure := t.TempDir(), freePort(t), freePort(t)
	c := issue(t, dir)
	file := filepath.Join(dir, "redis.conf")
	must(t, os.WriteFile(file, fmt.Appendf(nil, `
bind 127.0.0.1
port %s
tls-port %s
tls-cert-file %s
tls-key-file %s
tls-auth-clients no
dir %s
save ""
maxmemory 64mb
maxclients 50
requirepass %q
user eyes on %[7]q +ping +info
user blind on %[7]q +ping
`, plain, secure, c.cert, c.key, dir, password, ">"+password), 0o600))
	server := start(t, exec.Command(installed(t, "redis-server"), file), "Ready to accept connections")
	right, wrong := secretFile(t, password), secretFile(t, "wrong horse")
	trusted := config.TLSClient{TLS: config.VerifyTLS, CAFile: c.ca}
	inPlainText := config.TLSClient{TLS: config.PlainText}

	for _, row := range []struct {
		name string
		conf config.RedisProbe
		want probes.State
		says string
	}{
		{"TLS", config.RedisProbe{Address: "127.0.0.1:" + secure, TLSClient: trusted, PasswordFile: right}, probes.OK,
			"of 64 MiB used"},
		{"TLS by name", config.RedisProbe{Address: "localhost:" + secure, TLSClient: trusted, PasswordFile: right},
			probes.OK, "of 64 MiB used"},
		{"plain text", config.RedisProbe{Address: "127.0.0.1:" + plain, TLSClient: inPlainText, PasswordFile: right},
			probes.OK, "of 64 MiB used"},
		{"a user who may no more than it needs", config.RedisProbe{Address: "127.0.0.1:" + plain,
			TLSClient: inPlainText, Username: "eyes", PasswordFile: right}, probes.OK, "of 64 MiB used"},
		{"a user who may not ask", config.RedisProbe{Address: "127.0.0.1:" + plain, TLSClient: inPlainText,
			Username: "blind", PasswordFile: right}, probes.OK, "PONG; INFO: NOPERM: the user needs +ping and +info"},
		{"wrong password", config.RedisProbe{Address: "127.0.0.1:" + plain, TLSClient: inPlainText,
			PasswordFile: wrong}, probes.Unknown, "AUTH: WRONGPASS: check the probe's username and password_file"},
		{"no password", config.RedisProbe{Address: "127.0.0.1:" + plain, TLSClient: inPlainText}, probes.Unknown,
			"PING: NOAUTH: check the probe's username and password_file"},
		{"TLS to a port in plain text", config.RedisProbe{Address: "127.0.0.1:" + plain, TLSClient: trusted,
			PasswordFile: right}, probes.Bad, "timeout, in the TLS handshake"},
		{"plain text to a port with TLS", config.RedisProbe{Address: "127.0.0.1:" + secure, TLSClient: inPlainText,
			PasswordFile: right}, probes.Bad, "connection closed by the server"},
		{"another authority", config.RedisProbe{Address: "127.0.0.1:" + secure,
			TLSClient:    config.TLSClient{TLS: config.VerifyTLS, CAFile: issue(t, t.TempDir()).ca},
			PasswordFile: right}, probes.Unknown, "invalid certificate"},
		{"another name", config.RedisProbe{Address: "127.0.0.1:" + secure, TLSClient: config.TLSClient{
			TLS: config.VerifyTLS, CAFile: c.ca, ServerName: "redis.shop"}, PasswordFile: right}, probes.Unknown,
			"invalid certificate"},
	} {
		t.Run(row.name, func(t *testing.T) {
			probe, err := probes.NewRedis(row.conf, nil)
			must(t, err)
			patience := 10 * time.Second
			if strings.Contains(row.says, "timeout") {
				patience = 300 * time.Millisecond
			}
			r, text := look(t, probe, patience)
			if r.State != row.want || !strings.Contains(text, row.says) {
				t.Errorf("got %s %q, want %s and %q", r.State, text, row.want, row.says)
			}
			if !strings.Contains(text, "64 MiB") {
				return
			}
			got := values(r.Samples)
			if got["redis_memory_max_bytes"] != 64<<20 || got["redis_config_maxclients"] != 50 ||
				got["redis_connected_clients"] != 1 || got["redis_memory_used_bytes"] < 1<<18 ||
				got["redis_mem_fragmentation_ratio"] <= 0 || r.Facts["version"] == "" {
				t.Errorf("got %v, %v", got, r.Facts)
			}
			if _, ok := got["redis_evicted_keys_total"]; !ok {
				t.Error("redis_evicted_keys_total is missing")
			}
		})
	}

	t.Run("a server that is stopped", func(t *testing.T) {
		must(t, server.Signal(syscall.SIGSTOP))
		probe, err := probes.NewRedis(config.RedisProbe{Address: "127.0.0.1:" + plain, TLSClient: inPlainText,
			PasswordFile: right}, nil)
		must(t, err)
		r, text := look(t, probe, 300*time.Millisecond)
		if r.State != probes.Bad || !strings.Contains(text, "timeout, waiting for the answer") {
			t.Errorf("got %s %q", r.State, text)
		}
	})
}

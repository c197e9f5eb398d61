//go:build integration

package servers

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/probes"
)

// postgresProgram is where Debian has a program of PostgreSQL: not on the PATH.
func postgresProgram(t *testing.T, name string) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(found) == 0 {
		t.Fatalf("%s is missing; `hack/need servers` installs it on Debian", name)
	}
	return found[len(found)-1]
}

// asPostgres lets a command run as the user of the Debian package, since PostgreSQL refuses root.
func asPostgres(t *testing.T, dir, program string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	if os.Getuid() != 0 {
		return cmd
	}
	u, err := user.Lookup("postgres")
	must(t, err)
	uid, err := strconv.Atoi(u.Uid)
	must(t, err)
	gid, err := strconv.Atoi(u.Gid)
	must(t, err)
	must(t, filepath.Walk(dir, func(path string, _ os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, uid, gid)
	}))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return cmd
}

func TestPostgresIsProbed(t *testing.T) {
	// Folders of t.TempDir lie in one that the user postgres cannot enter.
	dir, err := os.MkdirTemp("", "watchdog-postgres-")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	c := issue(t, dir)
	data, port := filepath.Join(dir, "data"), freePort(t)
	run := func(cmd *exec.Cmd) {
		t.Helper()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	run(asPostgres(t, dir, postgresProgram(t, "initdb"), "-D", data, "-U", "postgres", "--auth=scram-sha-256",
		"--auth-local=trust", "--no-sync", "--no-locale", "-E", "UTF8"))
	hba := filepath.Join(data, "pg_hba.conf")
	must(t, os.WriteFile(hba, []byte("local all all trust\nhost all cleartext all password\n"+
		"host all late all scram-sha-256\nhost all all all scram-sha-256\n"), 0o600))
	server := start(t, asPostgres(t, dir, postgresProgram(t, "postgres"), "-D", data, "-k", dir, "-p", port,
		"-c", "listen_addresses=127.0.0.1", "-c", "max_connections=20", "-c", "fsync=off", "-c", "ssl=on",
		"-c", "ssl_cert_file="+c.cert, "-c", "ssl_key_file="+c.key, "-c", "log_statement=all"),
		"database system is ready to accept connections")
	run(asPostgres(t, dir, postgresProgram(t, "psql"), "-h", dir, "-p", port, "-U", "postgres", "-v", "ON_ERROR_STOP=1",
		"-c", fmt.Sprintf("CREATE ROLE watchdog LOGIN PASSWORD '%s'", password),
		"-c", fmt.Sprintf("CREATE ROLE cleartext LOGIN PASSWORD '%s'", password),
		"-c", fmt.Sprintf("CREATE ROLE one LOGIN PASSWORD '%s' CONNECTION LIMIT 0", password)))
	right, wrong := secretFile(t, password), secretFile(t, "wrong horse")
	trusted := config.TLSClient{TLS: config.VerifyTLS, CAFile: c.ca}
	inPlainText := config.TLSClient{TLS: config.PlainText}

	for _, row := range []struct {
		name string
		edit func(*config.PostgresProbe)
		want probes.State
		says string
	}{
		{"TLS", func(*config.PostgresProbe) {}, probes.OK, "PostgreSQL"},
		{"TLS by name", func(p *config.PostgresProbe) { p.Address = "localhost:" + port }, probes.OK, "PostgreSQL"},
		{"plain text", func(p *config.PostgresProbe) { p.TLSClient = inPlainText }, probes.OK, "of 20 connections"},
		{"the password as it is, over TLS", func(p *config.PostgresProbe) { p.Username = "cleartext" }, probes.OK,
			"of 20 connections"},
		{"the password as it is, in plain text", func(p *config.PostgresProbe) {
			p.TLSClient, p.Username = inPlainText, "cleartext"
		}, probes.Unknown, "wants the password in plain text"},
		{"wrong password", func(p *config.PostgresProbe) { p.PasswordFile = wrong }, probes.Unknown,
			"(SQLSTATE 28P01): check the probe's username and password_file"},
		{"no such user", func(p *config.PostgresProbe) { p.Username = "nobody" }, probes.Unknown, "SQLSTATE 28P01"},
		{"no such database", func(p *config.PostgresProbe) { p.Database = "none" }, probes.Unknown,
			"check the probe's database"},
		{"too many connections", func(p *config.PostgresProbe) { p.Username = "one" }, probes.Bad,
			`too many connections for role "one" (SQLSTATE 53300)`},
		{"another authority", func(p *config.PostgresProbe) { p.CAFile = issue(t, t.TempDir()).ca }, probes.Unknown,
			"invalid certificate"},
		{"another name", func(p *config.PostgresProbe) { p.ServerName = "db.shop" }, probes.Unknown,
			"invalid certificate: tls: failed to verify certificate: x509: certificate is valid for localhost, " +
				"not db.shop"},
	} {
		t.Run(row.name, func(t *testing.T) {
			conf := config.PostgresProbe{Address: "127.0.0.1:" + port, TLSClient: trusted, Username: "watchdog",
				PasswordFile: right, Database: "postgres"}
			row.edit(&conf)
			probe, err := probes.NewPostgres(conf, nil)
			must(t, err)
			r, text := look(t, probe, 10*time.Second)
			if r.State != row.want || !strings.Contains(text, row.says) {
				t.Errorf("got %s %q, want %s and %q", r.State, text, row.want, row.says)
			}
			if row.want != probes.OK {
				return
			}
			if got := values(r.Samples); got["pg_settings_max_connections"] != 20 || got["watchdog_postgres_connections"] < 1 {
				t.Errorf("got %v", got)
			}
		})
	}

	t.Run("the server cuts a slow answer off", func(t *testing.T) {
		run(asPostgres(t, dir, postgresProgram(t, "psql"), "-h", dir, "-p", port, "-U", "postgres", "-v",
			"ON_ERROR_STOP=1", "-c", `CREATE SCHEMA slow AUTHORIZATION watchdog`, "-c",
			`CREATE FUNCTION slow.version() RETURNS text LANGUAGE sql AS 'SELECT pg_sleep(60)::text'`, "-c",
			`GRANT USAGE ON SCHEMA slow TO watchdog`, "-c",
			`ALTER ROLE watchdog SET search_path = slow, pg_catalog`))
		probe, err := probes.NewPostgres(config.PostgresProbe{Address: "127.0.0.1:" + port, TLSClient: inPlainText,
			Username: "watchdog", PasswordFile: right, Database: "postgres"}, nil)
		must(t, err)
		r, text := look(t, probe, time.Second)
		if r.State != probes.Bad || !strings.Contains(text, "statement timeout (SQLSTATE 57014)") {
			t.Errorf("got %s %q", r.State, text)
		}
	})

	t.Run("a server that is stopped", func(t *testing.T) {
		must(t, syscall.Kill(-server.Pid, syscall.SIGSTOP))
		probe, err := probes.NewPostgres(config.PostgresProbe{Address: "127.0.0.1:" + port, TLSClient: inPlainText,
			Username: "watchdog", PasswordFile: right, Database: "postgres"}, nil)
		must(t, err)
		r, text := look(t, probe, 300*time.Millisecond)
		if r.State != probes.Bad || !strings.Contains(text, "timeout, waiting for the answer") {
			t.Errorf("got %s %q", r.State, text)
		}
	})
}

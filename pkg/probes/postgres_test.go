package probes

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"watchdog.io/watchdog/pkg/config"
)

// pg is one message of PostgreSQL's protocol.
func pg(kind byte, body string) string {
	return string(binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4))) + body
}

func pgError(code, text string) string {
	return pg('E', "SFATAL\x00VFATAL\x00C"+code+"\x00M"+text+"\x00\x00")
}

// pgRow is an answer to the query of the probe.
func pgRow(columns ...string) string {
	head := string(binary.BigEndian.AppendUint16(nil, uint16(len(columns))))
	description, row := head, head
	for _, c := range columns {
		description += "c\x00" + strings.Repeat("\x00", 6) + "\x00\x00\x00\x19\xff\xff\xff\xff\xff\xff\x00\x00"
		row += string(binary.BigEndian.AppendUint32(nil, uint32(len(c)))) + c
	}
	return pg('T', description) + pg('D', row) + pg('C', "SELECT 1\x00") + pgReady
}

var (
	pgReady   = pg('Z', "I")
	pgWelcome = pg('R', "\x00\x00\x00\x00") + pgReady
)

// pgSays answers the messages of a probe one after the other.
func pgSays(answers ...string) func(net.Conn) {
	return func(c net.Conn) {
		for _, a := range answers {
			c.Read(make([]byte, 9999))
			fmt.Fprint(c, a)
		}
		until(c)
	}
}

func postgresAt(t *testing.T) func(string, config.TLSClient, *net.Resolver) (Probe, error) {
	file := secretIn(t, "geheim")
	return func(address string, conf config.TLSClient, resolver *net.Resolver) (Probe, error) {
		return NewPostgres(config.PostgresProbe{Address: address, TLSClient: conf, Username: "watchdog",
			PasswordFile: file, Database: "shop"}, resolver)
	}
}

func TestPostgresFailsAsTheTableSays(t *testing.T) {
	agree := func(c net.Conn) { // to TLS
		io.ReadFull(c, make([]byte, 8))
		fmt.Fprint(c, "S")
	}
	failsAsTheTableSays(t, agree, postgresAt(t),
		endpointCase{name: "wrong password", handle: pgSays(pgError("28P01", `password "geheim" is wrong`)),
			want: Unknown, says: `password "<password>" is wrong (SQLSTATE 28P01): check the probe's username`},
		endpointCase{name: "no such database", handle: pgSays(pgError("3D000", "no shop")), want: Unknown,
			says: "check the probe's database"},
		endpointCase{name: "no connection left", handle: pgSays(pgError("53300", "too many clients already")),
			want: Bad, says: "too many clients already (SQLSTATE 53300)"},
		endpointCase{name: "starting up", handle: pgSays(pgError("57P03", "starting up")), want: Bad,
			says: "starting up"},
		endpointCase{name: "statement too slow", handle: pgSays(pgWelcome, pgError("57014", "canceling statement")),
			want: Bad, says: "canceling statement"},
		endpointCase{name: "may not read", handle: pgSays(pgWelcome, pgError("42501", "permission denied")+pgReady),
			want: Unknown, says: "permission denied"},
		endpointCase{name: "no code", handle: pgSays(pgError("", "")), want: Unknown, says: "SQLSTATE"},
		endpointCase{name: "wants the password as it is", handle: pgSays(pg('R', "\x00\x00\x00\x03")), want: Unknown,
			says: "wants the password in plain text"},
		endpointCase{name: "has no TLS", handle: says("N"), tls: &config.TLSClient{}, want: Unknown,
			says: "does not speak TLS: set tls: none"},
		endpointCase{name: "hangs after the login", handle: pgSays(pgWelcome), want: Bad,
			says: "timeout, waiting for the answer"},
		endpointCase{name: "claims gigabytes", handle: pgSays("R\x7f\xff\xff\xff"), want: Unknown,
			says: "invalid body length"},
		endpointCase{name: "claims gigabytes in a row", handle: pgSays(pgWelcome, "D\x7f\xff\xff\xff"),
			want: Unknown, says: ""},
		endpointCase{name: "makes the login expensive", handle: pgSays(pg('R', "\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00"),
			pg('R', "\x00\x00\x00\x0br=x,s=eA==,i=2000000000")), want: Unknown, says: ""},
		endpointCase{name: "endless notices", handle: func(c net.Conn) {
			for notice := []byte(pg('N', "M"+strings.Repeat("x", 9999)+"\x00\x00")); ; {
				if _, err := c.Write(notice); err != nil {
					return
				}
			}
		}, want: Unknown, says: "more than 2 MiB"},
		endpointCase{name: "another answer", handle: pgSays(pgWelcome, pgRow("one")), want: Unknown,
			says: "not one row of three columns"},
		endpointCase{name: "absurd numbers", handle: pgSays(pgWelcome, pgRow("PostgreSQL 15", "many", "-1")),
			want: Unknown, says: `max_connections is "many"`},
		endpointCase{name: "no number", handle: pgSays(pgWelcome, pgRow("PostgreSQL 15", "100", "geheim")),
			want: Unknown, says: `the number of connections is "<password>"`},
	)
}

func TestPostgresNumbersAreSamples(t *testing.T) {
	probe, err := postgresAt(t)(listen(t, pgSays(pgWelcome,
		pgRow("PostgreSQL 15.14 (Debian 15.14-0+deb12u1) on x86_64-pc-linux-gnu", "100", "7"))),
		config.TLSClient{TLS: config.PlainText}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := probe(t.Context(), time.Now())
	if err != nil || got.State != OK || got.Detail != "PostgreSQL 15.14, 7 of 100 connections" {
		t.Errorf("got %s %q, %v", got.State, got.Detail, err)
	}
	if diff := cmp.Diff(map[string]float64{"watchdog_postgres_connections": 7, "pg_settings_max_connections": 100},
		values(got.Samples)); diff != "" {
		t.Error(diff)
	}
}

// TestPostgresTakesNothingFromTheEnvironment: what libpq reads there is not in the file.
func TestPostgresTakesNothingFromTheEnvironment(t *testing.T) {
	for name, value := range map[string]string{"PGHOST": "/nowhere", "PGPASSWORD": "other", "PGUSER": "other",
		"PGOPTIONS": "-c log_statement=all", "PGTARGETSESSIONATTRS": "read-write", "PGSSLMODE": "require", "PGPASSFILE": "/nowhere"} {
		t.Setenv(name, value)
	}
	startup := make(chan string, 1)
	probe, err := postgresAt(t)(listen(t, func(c net.Conn) {
		b := make([]byte, 9999)
		n, _ := c.Read(b)
		startup <- string(b[:n])
		fmt.Fprint(c, pgWelcome)
		pgSays(pgRow("PostgreSQL 15", "100", "7"))(c)
	}), config.TLSClient{TLS: config.PlainText}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if state, detail := lookOnce(t, probe, time.Now(), 10*time.Second); state != OK {
		t.Errorf("got %s %q", state, detail)
	}
	const want = "\x00\x03\x00\x00user\x00watchdog\x00database\x00shop\x00application_name\x00watchdog\x00\x00"
	sorted := func(text string) []string { return slices.Sorted(slices.Values(strings.Split(text, "\x00"))) }
	if got := (<-startup)[4:]; !slices.Equal(sorted(got), sorted(want)) {
		t.Errorf("the startup message is %q, want %q", got, want)
	}
}

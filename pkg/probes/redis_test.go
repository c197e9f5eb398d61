package probes

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"watchdog.io/watchdog/pkg/config"
)

// secretIn writes a password into a file.
func secretIn(t *testing.T, password string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// redisSays answers the commands of a probe one after the other. "$" repeats the last word sent.
func redisSays(answers ...string) func(net.Conn) {
	return func(c net.Conn) {
		in := bufio.NewReader(c)
		for _, answer := range answers {
			line, _ := in.ReadString('\n')
			words, last := 0, ""
			fmt.Sscanf(line, "*%d", &words)
			for range words {
				in.ReadString('\n')
				last, _ = in.ReadString('\n')
			}
			fmt.Fprint(c, strings.ReplaceAll(answer, "<last>", strings.TrimSpace(last)))
		}
		until(c)
	}
}

func bulk(text string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(text), text) }

func TestRedisFailsAsTheTableSays(t *testing.T) {
	const pong = "+PONG\r\n"
	file := secretIn(t, "geheim")
	failsAsTheTableSays(t, nil, func(address string, conf config.TLSClient, resolver *net.Resolver) (Probe, error) {
		return NewRedis(config.RedisProbe{Address: address, TLSClient: conf, PasswordFile: file}, resolver)
	},
		endpointCase{name: "wrong password", handle: redisSays("-WRONGPASS invalid username-password pair: <last>\r\n"),
			want: Unknown, says: "AUTH: WRONGPASS: check the probe's username and password_file"},
		endpointCase{name: "echoes the command", handle: redisSays(
			"-ERR unknown command `AUTH`, with args beginning with: `<last>`\r\n"), want: Unknown,
			says: "AUTH: the server refuses it"},
		endpointCase{name: "echoes the password later", handle: redisSays("+<last>\r\n", "-OOPS geheim\r\n"), want: Bad,
			says: "PING: OOPS <password>"},
		endpointCase{name: "loading", handle: redisSays("+OK\r\n", "-LOADING Redis is loading the dataset\r\n"),
			want: Bad, says: "PING: LOADING Redis is loading"},
		endpointCase{name: "too many clients", handle: redisSays("-ERR max number of clients reached\r\n"), want: Bad,
			says: "max number of clients reached"},
		endpointCase{name: "may not be asked for its numbers", handle: redisSays("+OK\r\n", pong, "-NOPERM no\r\n"),
			want: OK, says: "PONG; INFO: NOPERM: the user needs +ping and +info"},
		endpointCase{name: "no PONG", handle: redisSays("+OK\r\n", "+geheim\r\n"), want: Unknown,
			says: `the answer is "<password>"`},
		endpointCase{name: "hangs after half an answer", handle: redisSays("+OK\r\n", pong, "$100\r\nused_mem"),
			want: Bad, says: "timeout, waiting for the answer"},
		endpointCase{name: "closes after half an answer", handle: func(c net.Conn) {
			redisOnce(c, "+OK\r\n", pong, "$100\r\nused_mem")
		}, want: Bad, says: "connection closed"},
		endpointCase{name: "claims gigabytes", handle: redisSays("+OK\r\n", pong, "$9999999999\r\n"), want: Unknown,
			says: "the answer is more than 1 MiB"},
		endpointCase{name: "claims less than nothing", handle: redisSays("+OK\r\n", pong, "$-5\r\n"), want: Unknown,
			says: "length -5"},
	)
}

// redisOnce is redisSays that closes in the end.
func redisOnce(c net.Conn, answers ...string) {
	for _, a := range answers {
		c.Read(make([]byte, 9999))
		fmt.Fprint(c, a)
	}
}

func TestRedisNumbersAreSamples(t *testing.T) {
	for _, row := range []struct {
		name, info, detail string
		want               map[string]float64
	}{
		{"limited", "# Server\r\nredis_version:7.0.15\r\nused_memory:1048576\r\nmaxmemory:4194304\r\n" +
			"mem_fragmentation_ratio:1.5\r\nconnected_clients:3\r\nmaxclients:10000\r\nevicted_keys:7\r\n",
			"PONG; 25% of 4 MiB used", map[string]float64{"redis_memory_used_bytes": 1048576,
				"redis_memory_max_bytes": 4194304, "redis_mem_fragmentation_ratio": 1.5, "redis_connected_clients": 3,
				"redis_config_maxclients": 10000, "redis_evicted_keys_total": 7}},
		{"without a limit", "used_memory:2097152\r\nmaxmemory:0\r\n", "PONG; 2 MiB used, no limit",
			map[string]float64{"redis_memory_used_bytes": 2097152, "redis_memory_max_bytes": 0}},
		{"absurd", "used_memory:NaN\r\nmaxmemory:-1\r\nconnected_clients:Inf\r\nevicted_keys:\r\n:\r\n", "PONG",
			map[string]float64{}},
		{"empty", "", "PONG", map[string]float64{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			probe, err := NewRedis(config.RedisProbe{Address: listen(t, redisSays("+PONG\r\n", bulk(row.info))),
				TLSClient: config.TLSClient{TLS: config.PlainText}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := probe(t.Context(), time.Now())
			if err != nil || got.State != OK || got.Detail != row.detail {
				t.Errorf("got %s %q, %v; want %q", got.State, got.Detail, err, row.detail)
			}
			if diff := cmp.Diff(row.want, values(got.Samples)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

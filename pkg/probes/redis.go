package probes

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strconv"
	"strings"
	"time"

	"watchdog.io/watchdog/pkg/config"
	"watchdog.io/watchdog/pkg/secretfile"
	"watchdog.io/watchdog/pkg/strutil"
)

// redisSamples are the fields of INFO that become samples, by the names of redis_exporter.
var redisSamples = []struct{ field, sample string }{
	{"used_memory", "redis_memory_used_bytes"},
	{"maxmemory", "redis_memory_max_bytes"},
	{"mem_fragmentation_ratio", "redis_mem_fragmentation_ratio"},
	{"connected_clients", "redis_connected_clients"},
	{"maxclients", "redis_config_maxclients"},
	{"evicted_keys", "redis_evicted_keys_total"},
}

type redis struct {
	endpoint
	conf config.RedisProbe
}

// NewRedis returns the probe that sends PING and INFO to a Redis server.
func NewRedis(conf config.RedisProbe, resolver *net.Resolver) (Probe, error) {
	at, err := newEndpoint("redis", conf.Address, conf.TLSClient, resolver)
	if err != nil {
		return nil, err
	}
	return (&redis{at, conf}).look, nil
}

func (r *redis) look(ctx context.Context, at time.Time) (Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // closes the connection
	password := ""
	if r.conf.PasswordFile != "" {
		var err error
		if password, err = secretfile.Read(r.conf.PasswordFile); err != nil {
			return Result{}, fmt.Errorf("%s: password_file: %w", r.what, err)
		}
	}
	conf, err := r.tls()
	if err != nil {
		return Result{}, err
	}
	var during progress
	connection, err := r.open(ctx, conf, &during)
	if err != nil {
		return outcome(r.failed(ctx, &during, err))
	}
	s := &redisSession{w: connection, r: bufio.NewReader(connection), password: password}
	info, err := s.ask(r.conf.Username)
	switch {
	case err == nil:
		return info.result(at), nil
	case s.understood:
		if bad, ok := errors.AsType[*badError](err); ok {
			return outcome(&badError{r.what + ": " + bad.reason})
		}
		return Result{}, fmt.Errorf("%s: %w", r.what, err)
	}
	return outcome(r.failed(ctx, &during, err))
}

// redisSession is one connection. The protocol is RESP2, which every version speaks.
type redisSession struct {
	w        io.Writer
	r        *bufio.Reader
	password string
	// understood says that the last error is what the server answered, not one of the connection.
	understood bool
	denied     bool // the last answer is an error
}

// ask authenticates if there is a password, and sends PING and INFO.
func (s *redisSession) ask(username string) (redisInfo, error) {
	if s.password != "" {
		auth := []string{"AUTH", s.password}
		if username != "" {
			auth = []string{"AUTH", username, s.password}
		}
		if _, err := s.command(auth...); err != nil {
			return nil, err
		}
	}
	pong, err := s.command("PING")
	if err != nil {
		return nil, err
	}
	if string(pong) != "PONG" {
		s.understood = true
		return nil, fmt.Errorf("PING: the answer is %q: is it a Redis server?", s.clean(string(pong)))
	}
	info, err := s.command("INFO")
	if err == nil {
		return readRedisInfo(info), nil
	}
	if s.denied {
		return redisInfo{"": err.Error()}, nil // it serves; only its numbers are missing
	}
	return nil, err
}

// command sends one command and returns its answer.
func (s *redisSession) command(words ...string) ([]byte, error) {
	request := fmt.Appendf(nil, "*%d\r\n", len(words))
	for _, w := range words {
		request = fmt.Appendf(request, "$%d\r\n%s\r\n", len(w), w)
	}
	if _, err := s.w.Write(request); err != nil {
		return nil, err
	}
	answer, refused, err := s.read()
	if err == nil && refused {
		s.understood, s.denied = true, true
		err = s.refused(words[0], string(answer))
	}
	return answer, err
}

// read reads a simple string, an error (refused), or a bulk string of at most 1 MiB. The length
// that a server announces is believed only as the bytes come.
func (s *redisSession) read() (answer []byte, refused bool, err error) {
	line, err := s.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, false, s.garbled("a line without end")
	}
	if err != nil {
		return nil, false, err
	}
	text := string(bytes.TrimRight(line[1:], "\r\n"))
	switch line[0] {
	case '+', '-':
		return []byte(text), line[0] == '-', nil
	case '$':
		size, err := strconv.Atoi(text)
		if err != nil || size < 0 {
			return nil, false, s.garbled("a text of length " + s.clean(text))
		}
		if size > maxBody {
			return nil, false, s.garbled("more than 1 MiB")
		}
		all, err := io.ReadAll(io.LimitReader(s.r, int64(size)+2)) // and the end of the line
		if err == nil && len(all) < size+2 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, false, err
		}
		return all[:size], false, nil
	}
	return nil, false, s.garbled(strconv.Quote(s.clean(string(line))))
}

func (s *redisSession) garbled(got string) error {
	s.understood = true
	return fmt.Errorf("the answer is %s: is it a Redis server?", got)
}

// refused says what an error of the server means. It begins with a code; the rest may repeat
// the command, with the password.
func (s *redisSession) refused(command, text string) error {
	code, _, _ := strings.Cut(text, " ")
	switch {
	case code == "NOPERM":
		return fmt.Errorf("%s: NOPERM: the user needs +ping and +info", command)
	case code == "NOAUTH", code == "WRONGPASS":
		return fmt.Errorf("%s: %s: check the probe's username and password_file", command, code)
	case command == "AUTH" && code == "ERR" && !strings.Contains(text, "max number of clients"):
		return errors.New("AUTH: the server refuses it: check the probe's username and password_file")
	}
	return &badError{fmt.Sprintf("%s: %s", command, s.clean(text))}
}

// clean makes a server's text fit for a message.
func (s *redisSession) clean(text string) string { return withoutPassword(text, s.password) }

// withoutPassword cuts a password out of a server's text, which may repeat what it was sent.
func withoutPassword(text, password string) string {
	if password != "" {
		text = strings.ReplaceAll(text, password, "<password>")
	}
	return strutil.Cut(strutil.Line(text), 200)
}

// redisInfo are the fields of an answer to INFO; the field without a name says why there are none.
type redisInfo map[string]string

func readRedisInfo(text []byte) redisInfo {
	info := redisInfo{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && name != "" {
			info[name] = value
		}
	}
	return info
}

func (i redisInfo) result(at time.Time) Result {
	r := Result{State: OK, Detail: "PONG"}
	for _, s := range redisSamples {
		if v, ok := i.number(s.field); ok {
			r.Samples = append(r.Samples, newSample(at, s.sample, v))
		}
	}
	if version := i["redis_version"]; version != "" {
		r.Facts = map[string]string{"version": strutil.Cut(strutil.Line(version), maxName)}
	}
	used, known := i.number("used_memory")
	most, _ := i.number("maxmemory")
	switch {
	case i[""] != "":
		r.Detail += "; " + i[""]
	case known && most > 0:
		r.Detail += fmt.Sprintf("; %.0f%% of %.0f MiB used", 100*used/most, most/(1<<20))
	case known:
		r.Detail += fmt.Sprintf("; %.0f MiB used, no limit", used/(1<<20))
	}
	return r
}

// number is a field that is a number.
func (i redisInfo) number(field string) (float64, bool) {
	v, err := strconv.ParseFloat(i[field], 64)
	return v, err == nil && v >= 0 && !math.IsInf(v, 0) // false for NaN, too
}

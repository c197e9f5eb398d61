package probes

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"sync"
	"time"
)

// A probe sends one request and reads one response. net/http's Transport would hand both
// to two goroutines of each connection, a fifth of the CPU of a probe; what it does
// besides (pools, proxies, HTTP/2, compression) a probe must not have.

// errNoConnection says that no connection was kept, or that the one that was cannot be used
// any more.
var errNoConnection = errors.New("no connection is kept")

// maxInformational is how many 1xx responses may come before the one that counts, as in
// net/http.
const maxInformational = 5

// again sends the request over the connection that the last one left, if any. A server may
// close it at any time; then it has not seen the request.
func (c *client) again(ctx context.Context, request *http.Request) (answer, phase, error) {
	c.mu.Lock()
	kept := c.kept
	c.kept = nil
	c.mu.Unlock()
	if kept == nil {
		return answer{}, connecting, errNoConnection
	}
	if !silent(kept) {
		kept.Close()
		return answer{}, connecting, errNoConnection
	}
	got, during, err := c.exchange(ctx, kept, request)
	if err != nil && during == waiting && ctx.Err() == nil {
		return answer{}, connecting, errNoConnection
	}
	return got, during, err
}

// peekTime is how long silent listens.
const peekTime = 50 * time.Microsecond

// silent reports whether a connection that waits for its next request is open, and nothing
// was sent over it since: a server that loses patience may send a status 408, which answers
// no request.
func silent(c net.Conn) bool {
	_ = c.SetReadDeadline(time.Now().Add(peekTime)) // fails only on a closed connection, as Read does
	n, err := c.Read(make([]byte, 1))
	_ = c.SetReadDeadline(time.Time{})
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}

// anew sends the request over a new connection.
func (c *client) anew(ctx context.Context, request *http.Request, conf *tls.Config) (answer, phase, error) {
	connection, during, err := c.connect(ctx, conf)
	if err != nil {
		return answer{}, during, err
	}
	return c.exchange(ctx, connection, request)
}

// connect opens a connection that can carry a request. The phase is where it failed.
func (c *client) connect(ctx context.Context, conf *tls.Config) (net.Conn, phase, error) {
	during := connecting
	named := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart: func(httptrace.DNSStartInfo) { during = resolving },
		DNSDone: func(done httptrace.DNSDoneInfo) {
			if done.Err == nil {
				during = connecting
			}
		},
	})
	connection, err := c.dialer.DialContext(named, "tcp", c.address)
	if err != nil {
		return nil, during, err
	}
	if c.url.Scheme != "https" {
		return connection, waiting, nil
	}
	stop := context.AfterFunc(ctx, func() { connection.Close() })
	defer stop()
	secure := tls.Client(connection, conf)
	if err := secure.Handshake(); err != nil {
		connection.Close()
		return nil, handshaking, err
	}
	return secure, waiting, nil
}

// buffers are those of one exchange.
type buffers struct {
	limit io.LimitedReader
	in    *bufio.Reader
	out   *bufio.Writer
}

var freeBuffers = sync.Pool{New: func() any { return &buffers{in: bufio.NewReader(nil), out: bufio.NewWriter(nil)} }}

// exchange sends a request and reads the response. It keeps the connection for the next
// one, if both sides agree, and closes it otherwise; it ends with ctx.
func (c *client) exchange(ctx context.Context, connection net.Conn, request *http.Request) (got answer, during phase,
	err error) {
	stop := context.AfterFunc(ctx, func() { connection.Close() })
	b := freeBuffers.Get().(*buffers)
	b.limit = io.LimitedReader{R: connection, N: maxHeader}
	b.in.Reset(&b.limit)
	b.out.Reset(connection)
	defer func() {
		b.limit.R = nil
		b.in.Reset(nil)
		b.out.Reset(nil)
		freeBuffers.Put(b)
	}()
	got, during, stays, err := b.converse(request)
	stays = stays && b.in.Buffered() == 0
	if stop() && stays {
		c.keep(connection)
	} else {
		connection.Close()
	}
	return got, during, err
}

// keep leaves a connection to the next request.
func (c *client) keep(connection net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept != nil {
		connection.Close()
		return
	}
	c.kept = connection
}

// converse writes the request and reads the response. stays says that the connection may
// carry another request.
func (b *buffers) converse(request *http.Request) (got answer, during phase, stays bool, err error) {
	if err := errors.Join(request.Write(b.out), b.out.Flush()); err != nil {
		return answer{}, waiting, false, err
	}
	if _, err := b.in.Peek(1); err != nil {
		return answer{}, waiting, false, err
	}
	response, err := b.response(request)
	if err != nil {
		return answer{}, reading, false, err
	}
	defer response.Body.Close()
	b.limit.N = math.MaxInt64
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return answer{}, reading, false, err
	}
	return answer{
		status:    response.StatusCode,
		mediaType: response.Header.Get("Content-Type"),
		location:  location(response),
		body:      body[:min(len(body), maxBody)],
		tooLarge:  len(body) > maxBody,
	}, reading, !request.Close && !response.Close && len(body) <= maxBody, nil
}

// response reads the head of the response that counts.
func (b *buffers) response(request *http.Request) (*http.Response, error) {
	for range maxInformational + 1 {
		response, err := http.ReadResponse(b.in, request)
		if err != nil && b.limit.N <= 0 {
			return nil, fmt.Errorf("the response's headers exceed %d KiB", maxHeader>>10)
		}
		if err != nil || response.StatusCode >= 200 || response.StatusCode == http.StatusSwitchingProtocols {
			return response, err
		}
	}
	return nil, fmt.Errorf("more than %d informational responses (1xx) in a row", maxInformational)
}

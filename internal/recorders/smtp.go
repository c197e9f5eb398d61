package recorders

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/mail"
	"strings"
	"sync"
	"time"
)

// SMTPOptions are what a mail server offers and asks for.
type SMTPOptions struct {
	TLS      *tls.Config // nil: it speaks in plain text only
	Implicit bool        // TLS from the beginning, instead of STARTTLS
	// User and Password must be given before a mail is taken; empty: nobody asks.
	User, Password string
	// Unknown recipients are refused.
	Unknown []string
}

// ServeSMTP is a mail server that delivers to the recorder. It returns when the
// listener is closed, and ends all conversations then.
func (r *Recorder) ServeSMTP(l net.Listener, o SMTPOptions) error {
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer func() {
		mu.Lock()
		defer mu.Unlock()
		for c := range open {
			_ = c.Close()
		}
	}()
	for {
		raw, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		mu.Lock()
		open[raw] = true
		mu.Unlock()
		wg.Go(func() {
			defer func() {
				_ = raw.Close()
				mu.Lock()
				delete(open, raw)
				mu.Unlock()
			}()
			s := &session{r: r, o: o, raw: raw, conn: raw, secure: o.Implicit}
			if o.Implicit {
				s.conn = tls.Server(raw, o.TLS)
			}
			s.in = bufio.NewReader(s.conn)
			s.converse()
		})
	}
}

// session is one conversation.
type session struct {
	r      *Recorder
	o      SMTPOptions
	raw    net.Conn
	conn   net.Conn
	in     *bufio.Reader
	secure bool
	known  bool // has given its password
	from   string
	to     []string
}

func (s *session) say(format string, args ...any) {
	// The client may be gone; reading says so.
	_, _ = fmt.Fprintf(s.conn, format+"\r\n", args...)
}

func (s *session) line() (string, error) {
	b, err := s.in.ReadString('\n')
	return strings.TrimRight(b, "\r\n"), err
}

func (s *session) converse() {
	s.say("220 localhost ESMTP recorder")
	for {
		line, err := s.line()
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(line, " ")
		if s.command(strings.ToUpper(verb), rest) {
			return
		}
	}
}

// command answers one, and reports whether the conversation is over.
func (s *session) command(verb, rest string) (over bool) {
	switch verb {
	case "EHLO":
		s.say("250-localhost")
		if s.o.TLS != nil && !s.secure {
			s.say("250-STARTTLS")
		}
		if s.o.User != "" {
			s.say("250-AUTH PLAIN LOGIN")
		}
		s.say("250-ENHANCEDSTATUSCODES")
		s.say("250 8BITMIME")
	case "HELO", "NOOP":
		s.say("250 2.0.0 OK")
	case "RSET":
		s.from, s.to = "", nil
		s.say("250 2.0.0 OK")
	case "STARTTLS":
		if s.o.TLS == nil || s.secure {
			s.say("502 5.5.1 not here")
			return false
		}
		s.say("220 2.0.0 go ahead")
		s.conn = tls.Server(s.raw, s.o.TLS)
		s.in, s.secure = bufio.NewReader(s.conn), true
	case "AUTH":
		s.auth(rest)
	case "MAIL":
		if s.o.User != "" && !s.known {
			s.say("530 5.7.0 authentication required")
			return false
		}
		s.from, s.to = rest, nil
		s.say("250 2.1.0 OK")
	case "RCPT":
		s.rcpt(rest)
	case "DATA":
		return s.data()
	case "QUIT":
		s.say("221 2.0.0 bye")
		return true
	default:
		s.say("500 5.5.2 unknown command")
	}
	return false
}

func (s *session) rcpt(rest string) {
	_, address, _ := strings.Cut(rest, "<")
	address, _, _ = strings.Cut(address, ">")
	switch {
	case s.from == "":
		s.say("503 5.5.1 MAIL first")
		return
	case address == "":
		s.say("501 5.1.3 no address")
		return
	}
	for _, u := range s.o.Unknown {
		if u == address {
			s.say("550 5.1.1 <%s>: nobody of that name", address)
			return
		}
	}
	s.to = append(s.to, address)
	s.say("250 2.1.5 OK")
}

// auth takes PLAIN with its answer on the same line, and LOGIN.
func (s *session) auth(rest string) {
	kind, first, _ := strings.Cut(rest, " ")
	user, password := "", ""
	switch strings.ToUpper(kind) {
	case "PLAIN":
		b, _ := base64.StdEncoding.DecodeString(first)
		parts := strings.Split(string(b), "\x00")
		if len(parts) == 3 {
			user, password = parts[1], parts[2]
		}
	case "LOGIN":
		ask := func(what string) string {
			s.say("334 %s", base64.StdEncoding.EncodeToString([]byte(what)))
			line, _ := s.line()
			b, _ := base64.StdEncoding.DecodeString(line)
			return string(b)
		}
		user, password = ask("Username:"), ask("Password:")
	default:
		s.say("504 5.5.4 no such mechanism")
		return
	}
	if user != s.o.User || password != s.o.Password {
		s.say("535 5.7.8 authentication credentials invalid")
		return
	}
	s.known = true
	s.say("235 2.7.0 welcome")
}

// data takes a mail, or does what the recorder's mode says.
func (s *session) data() (over bool) {
	if len(s.to) == 0 {
		s.say("503 5.5.1 RCPT first")
		return false
	}
	s.say("354 end with a dot")
	b, err := s.message()
	if err != nil {
		s.say("550 5.6.0 %s", err)
		return true
	}
	q, err := readMail(b)
	if err != nil {
		s.say("550 5.6.0 %s", err)
		return false
	}
	s.from = ""
	mode, moded, no := s.r.enter(q, func(*Request) *refusal {
		if s.r.modes[Email] == TooLarge && len(b) > smallBody {
			return &refusal{status: 552, body: "5.3.4 message too big"}
		}
		return nil
	})
	if no != nil {
		s.say("%d %v", no.status, no.body)
		return false
	}
	if mode.takes() && s.r.o.OnRequest != nil {
		s.r.o.OnRequest(*q)
	}
	return s.behave(mode, moded)
}

// behave is Recorder.behave in SMTP's words.
func (s *session) behave(mode Mode, moded <-chan struct{}) (over bool) {
	gone := func() <-chan struct{} {
		c := make(chan struct{})
		go func() {
			defer close(c)
			_, _ = s.in.Peek(1)
		}()
		return c
	}
	switch mode {
	case Slow:
		late := time.NewTimer(s.r.o.SlowBy)
		defer late.Stop()
		<-late.C
		s.say("250 2.0.0 taken")
	case Hang:
		select {
		case <-moded:
		case <-gone():
		}
		return true
	case Reset:
		if c, ok := s.raw.(*net.TCPConn); ok {
			_ = c.SetLinger(0)
		}
		return true
	case Limited, Calm:
		s.say("450 4.7.1 rate limit exceeded; try again later")
	case Broken, Applied500:
		s.say("451 4.3.0 internal error")
	case Refused:
		s.say("554 5.7.1 refused")
	default:
		s.say("250 2.0.0 taken")
	}
	return false
}

// maxLine is RFC 5322's longest line, with its end.
const maxLine = 1000

// message reads up to the lonely dot, and refuses what no mail server must be sent.
func (s *session) message() ([]byte, error) {
	var all bytes.Buffer
	var bad error
	for {
		line, err := s.in.ReadBytes('\n')
		switch {
		case err != nil:
			return nil, err
		case string(line) == ".\r\n":
			return all.Bytes(), bad
		case !bytes.HasSuffix(line, []byte("\r\n")) || bytes.Count(line, []byte("\r")) > 1:
			bad = errors.New("a line does not end in CRLF")
		case len(line) > maxLine:
			bad = errors.New("a line is longer than 998 characters")
		case all.Len() > maxBody:
			bad = errTooLong
			continue
		}
		all.Write(bytes.TrimPrefix(line, []byte(".")))
	}
}

func readMail(b []byte) (*Request, error) {
	m, err := mail.ReadMessage(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	for _, h := range []string{"From", "To", "Date", "Message-Id", "Subject"} {
		if len(m.Header[h]) != 1 {
			return nil, fmt.Errorf("%d headers %s, want one", len(m.Header[h]), h)
		}
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(string(b))
	return &Request{Receiver: Email, Action: "mail", Key: m.Header.Get("Message-Id"), Summary: subject, Body: text}, err
}

// Mail is a mail that arrived, as its reader sees it.
func (q Request) Mail() (*mail.Message, error) {
	var text string
	if err := json.Unmarshal(q.Body, &text); err != nil {
		return nil, err
	}
	return mail.ReadMessage(strings.NewReader(text))
}

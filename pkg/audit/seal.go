package audit

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"os"
	"strconv"
	"strings"
)

// Keys are the secrets that records are sealed with. The first seals; all of them
// verify, so that a key can be replaced. None: the chain is of plain hashes, and who
// can write the folder can write it anew.
type Keys []Key

// Key is one secret.
type Key struct {
	id     string
	secret []byte
}

// String shows the id alone.
func (k Key) String() string { return k.id }

// Least lengths of a key, in bytes.
const minKey = 32

// ReadKeys reads a file of keys: one per line, the newest first, at least 32
// characters each. `openssl rand -hex 32` makes one.
func ReadKeys(path string) (Keys, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read audit keys: %w", err)
	}
	var all Keys
	for n, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if len(line) < minKey {
			return nil, fmt.Errorf("read audit keys: %s:%d: key has %d characters; the minimum is %d; `openssl rand "+
				"-hex 32` generates one", path, n+1, len(line), minKey)
		}
		all = append(all, NewKey([]byte(line)))
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("read audit keys: %s has no keys", path)
	}
	return all, nil
}

// NewKey makes a key of a secret. Its id tells keys apart and does not give it away.
func NewKey(secret []byte) Key {
	id := sha256.Sum256(append([]byte("watchdog audit key "), secret...))
	return Key{hex.EncodeToString(id[:4]), secret}
}

// Algorithms of a file, as its header names them.
const (
	plain = "sha256"
	keyed = "hmac-sha256"
)

// headerKind marks the first record of a file.
const headerKind = "log"

// seal is how the records of one file are sealed: it is what its header says.
type seal struct {
	Log       string `json:"log"`
	Algorithm string `json:"alg"`
	Key       string `json:"key,omitempty"`
	secret    []byte
	mac       hash.Hash
}

// seal is how new files are sealed.
func (k Keys) seal() seal {
	if len(k) == 0 {
		return seal{Algorithm: plain}
	}
	return seal{Algorithm: keyed, Key: k[0].id, secret: k[0].secret}
}

// is reports whether both seal in the same way.
func (s seal) is(o seal) bool { return s.Algorithm == o.Algorithm && s.Key == o.Key && s.Log != "" }

// header is the first record of a new file.
func (l *Log) header() Record {
	s := l.keys.seal()
	s.Log = l.id
	data, _ := json.Marshal(s)
	return Record{At: l.now(), Kind: headerKind, Actor: "watchdog", Text: "start of an audit log file",
		Data: data}
}

// of takes the header of a file, whose own seal is not checked yet.
func (k Keys) of(r Record) (seal, error) {
	var s seal
	if err := json.Unmarshal(r.Data, &s); err != nil || s.Log == "" {
		return s, errors.New("invalid header")
	}
	switch s.Algorithm {
	case plain:
		return s, nil
	case keyed:
		for _, key := range k {
			if key.id == s.Key {
				s.secret = key.secret
				return s, nil
			}
		}
		return s, fmt.Errorf("sealed with key %s, which is not one of the %d given keys", clip(s.Key), len(k))
	}
	return s, fmt.Errorf("sealed with unknown algorithm %q", clip(s.Algorithm))
}

// sum is the seal of the record's JSON without its hash.
func (s *seal) sum(head, tail []byte) []byte {
	if s.mac == nil {
		if s.mac = sha256.New(); s.Algorithm == keyed {
			s.mac = hmac.New(sha256.New, s.secret)
		}
	}
	s.mac.Reset()
	s.mac.Write(head)
	s.mac.Write(tail)
	return s.mac.Sum(nil)
}

// line returns the record's line and hash.
func (s seal) line(r Record) (line []byte, hash string, err error) {
	r.Hash = ""
	b, err := json.Marshal(r)
	if err != nil {
		return nil, "", fmt.Errorf("audit record: %w", err)
	}
	hash = hex.EncodeToString(s.sum(b, nil))
	return fmt.Appendf(b[:len(b)-1], `,"hash":"%s"}`+"\n", hash), hash, nil
}

// A record's line ends with its hash, and before it that of the record before.
const (
	hashMark = `,"hash":"`
	prevMark = `,"prev":"`
	seqMark  = `{"seq":`
	lineEnd  = `"}`
)

// link is what the chain knows of a record's line.
type link struct {
	seq  uint64
	prev string
	hash string
}

var errNoRecord = errors.New("not a record")

// open reads a line and checks its own seal. The seal is over the bytes as they
// are, so that nothing of them can be written in another way.
func (s *seal) open(line []byte) (link, error) {
	const tail = len(hashMark) + 2*sha256.Size + len(lineEnd)
	if len(line) < tail || !bytes.HasPrefix(line, []byte(seqMark)) || !bytes.HasSuffix(line, []byte(lineEnd)) {
		return link{}, errNoRecord
	}
	body := line[:len(line)-tail]
	mark, ok := bytes.CutPrefix(line[len(body):], []byte(hashMark))
	if !ok {
		return link{}, errNoRecord
	}
	hash := mark[:2*sha256.Size]
	var sum [2 * sha256.Size]byte
	hex.Encode(sum[:], s.sum(body, []byte("}")))
	if !hmac.Equal(sum[:], hash) {
		return link{}, errors.New("hash does not match the content")
	}
	comma := bytes.IndexByte(line, ',')
	seq, err := strconv.ParseUint(string(line[len(seqMark):comma]), 10, 64)
	if err != nil {
		return link{}, errNoRecord
	}
	at := bytes.LastIndex(body, []byte(prevMark))
	if at < 0 || body[len(body)-1] != '"' || len(body)-1 < at+len(prevMark) {
		return link{}, errNoRecord
	}
	return link{seq, string(body[at+len(prevMark) : len(body)-1]), string(hash)}, nil
}

// newID names a log.
func newID() string {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// clip bounds text that was read from a file.
func clip(s string) string {
	const limit = 40
	if len(s) > limit {
		return s[:limit] + "…"
	}
	return s
}

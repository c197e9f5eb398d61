package audit

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// FuzzVerify: a log that was touched in any way is not verified, or does not end
// in the record that was noted elsewhere (INV-39).
func FuzzVerify(f *testing.F) {
	dir := filepath.Join(f.TempDir(), "audit")
	l, err := Open(dir)
	if err != nil {
		f.Fatal(err)
	}
	for n := range 5 {
		if _, err := l.Append(Record{At: t0.Add(time.Duration(n) * time.Second), Kind: "act", Op: fmt.Sprint("op", n), Text: "restart shop/deployment/cart", Data: []byte(`{"n":1}`)}); err != nil {
			f.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		f.Fatal(err)
	}
	count, anchor, err := Verify(bytes.NewReader(whole))
	if err != nil || count != 5 {
		f.Fatalf("%d records, %v", count, err)
	}
	f.Add(uint16(7), uint16(1), []byte("x"))
	f.Add(uint16(0), uint16(300), []byte{})
	f.Add(uint16(200), uint16(0), []byte("\n"))
	f.Fuzz(func(t *testing.T, at, length uint16, with []byte) {
		from := int(at) % (len(whole) + 1)
		to := min(len(whole), from+int(length))
		touched := append(append(append([]byte{}, whole[:from]...), with...), whole[to:]...)
		n, last, err := Verify(bytes.NewReader(touched))
		if err != nil || n != count || last.Hash != anchor.Hash {
			return
		}
		// The ends of lines are not content.
		if !bytes.Equal(bytes.TrimRight(bytes.ReplaceAll(touched, []byte("\r\n"), []byte("\n")), "\n"), bytes.TrimRight(whole, "\n")) {
			t.Fatalf("bytes %d to %d became %q, and the log is verified", from, to, with)
		}
	})
}

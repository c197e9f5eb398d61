package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// Report is what a reading of a whole log found.
type Report struct {
	Files   int       `json:"files"`
	Records int       `json:"records"`
	From    time.Time `json:"from,omitzero"` // of the first and the last record
	To      time.Time `json:"to,omitzero"`
	// Sealed are the records whose hash only the holder of a key can have made.
	Sealed int `json:"sealed"`
	// Tip is the last record that is as it was written.
	Tip Tip `json:"tip"`
	// Faults are what is not as it was written, the oldest first.
	Faults []Fault `json:"faults,omitempty"`
	// Broken is set when the last file is among them.
	Broken bool `json:"-"`

	header seal // of the last file
}

// Fault is a place where a log is not as it was written.
type Fault struct {
	File string `json:"file"`
	Line int    `json:"line,omitempty"`
	What string `json:"what"`
}

// String names the place first.
func (f Fault) String() string {
	if f.Line == 0 {
		return fmt.Sprintf("%s: %s", f.File, f.What)
	}
	return fmt.Sprintf("%s, line %d: %s", f.File, f.Line, f.What)
}

// errFault ends the reading of a file.
var errFault = errors.New("fault")

// VerifyFolder reads the log in dir, or in one file, from its first record to its last, and
// reports each file that is not as it was written. That records are missing at the end can only
// be detected by tips that were noted elsewhere. The error is of the reading.
//
// A running daemon may write meanwhile: a last record without its end is not looked at.
func VerifyFolder(dir string, keys Keys, tips ...Tip) (Report, error) {
	return verifyAll(at(dir), keys, tips)
}

func verifyAll(dir fs.FS, keys Keys, tips []Tip) (Report, error) {
	v, err := verify(dir, keys, tips)
	if err == nil && len(keys) > 0 && v.Records > 0 && v.header.Algorithm != keyed {
		v.fault(fileName, 0, "records are not sealed with a key, but keys were given")
	}
	return v.Report, err
}

func verify(dir fs.FS, keys Keys, tips []Tip) (*verifier, error) {
	v := &verifier{keys: keys, tips: tips, met: make([]bool, len(tips))}
	all, err := files(dir)
	if err != nil {
		return v, err
	}
	for k, name := range all {
		if err := v.file(dir, name, k == len(all)-1); err != nil {
			return v, err
		}
	}
	if len(v.Faults) == 0 && v.first > 1 && v.Files <= keepFiles {
		v.fault(all[0], 0, "records 1 to %d are missing: older files are removed only beyond %d", v.first-1, keepFiles)
	}
	v.missing()
	return v, nil
}

// verifier goes through a log.
type verifier struct {
	Report
	keys  Keys
	tips  []Tip
	met   []bool
	first uint64 // seq of the first record
	lost  bool   // the file before has a fault: the next one cannot be held against its end
}

func (v *verifier) fault(file string, line int, what string, args ...any) {
	v.Faults = append(v.Faults, Fault{file, line, fmt.Sprintf(what, args...)})
}

func (v *verifier) file(dir fs.FS, name string, last bool) error {
	n := 0
	v.Files++
	var at, end []byte
	err := lines(dir, name, func(line []byte, whole bool) error {
		if n++; !whole {
			if !last {
				v.fault(name, n, "the file ends in the middle of a record")
				return errFault
			}
			return nil
		}
		if n == 1 || isHeader(line) {
			if err := v.begin(line, v.header); err != nil {
				v.fault(name, n, "%v", err)
				return errFault
			}
		}
		if n == 1 {
			at = append(at, line...)
		}
		if err := v.line(line, n == 1); err != nil {
			v.fault(name, n, "%v", err)
			return errFault
		}
		end = append(end[:0], line...)
		return nil
	})
	if t := timeOf(at); v.From.IsZero() {
		v.From = t
	}
	if t := timeOf(end); !t.IsZero() {
		v.To = t
	}
	if errors.Is(err, errLong) {
		v.fault(name, n+1, "%v", errLong)
		err = errFault
	}
	v.lost = errors.Is(err, errFault)
	if last {
		v.Broken = v.lost
	}
	if v.lost {
		return nil
	}
	return err
}

// isHeader tells a header by its first fields. One in the middle of a file is where
// files were put together.
func isHeader(line []byte) bool {
	return bytes.Contains(line[:min(len(line), 100)], []byte(`,"kind":"`+headerKind+`"`))
}

// begin takes the first line of a file, whose seal is checked after.
func (v *verifier) begin(line []byte, before seal) error {
	var r Record
	if err := json.Unmarshal(line, &r); err != nil {
		return errNoRecord
	}
	if r.Kind != headerKind {
		// As versions before the header wrote it; never after a file that has one.
		v.header = seal{Algorithm: plain}
		if before.Log != "" {
			return errors.New("missing header")
		}
		return nil
	}
	s, err := v.keys.of(r)
	if err != nil {
		return err
	}
	switch {
	case !v.lost && before.Log != "" && s.Log != before.Log:
		return fmt.Errorf("belongs to another log (%s, not %s)", clip(s.Log), before.Log)
	case before.Algorithm == keyed && s.Algorithm != keyed:
		return errors.New("records are not sealed with a key, but earlier ones are")
	}
	v.header = s
	return nil
}

// line holds one line against its own seal and the record before.
func (v *verifier) line(line []byte, first bool) error {
	l, err := v.header.open(line)
	switch {
	case err != nil:
		return err
	case v.Records == 0:
		v.first = l.seq
		if l.seq == 1 && l.prev != "" {
			return errors.New("first record refers to a previous one")
		}
	case first && v.lost:
		// The chain cannot be followed over a fault that is reported.
	case l.seq != v.Tip.Seq+1:
		return fmt.Errorf("record %d follows record %d", l.seq, v.Tip.Seq)
	case l.prev != v.Tip.Hash:
		return fmt.Errorf("record %d does not match the previous record's hash", l.seq)
	}
	v.Records++
	if v.header.Algorithm == keyed {
		v.Sealed++
	}
	v.Tip = Tip{Log: v.header.Log, Seq: l.seq, Hash: l.hash, Key: v.header.Key}
	for k, t := range v.tips {
		if t.Log == v.header.Log && t.Seq == l.seq {
			v.met[k] = t.Hash == l.hash
		}
	}
	return nil
}

// missing holds what was read against what was noted elsewhere.
func (v *verifier) missing() {
	for k, t := range v.tips {
		switch {
		case t.Log != v.header.Log || v.met[k] || t.Seq == 0:
		case v.Records > 0 && t.Seq < v.first:
			// Rotated away since.
		case t.Seq > v.Tip.Seq:
			v.fault(fileName, 0, "records %d to %d are missing at the end: an anchor names a later record", v.Tip.Seq+1,
				t.Seq)
		default:
			v.fault(fileName, 0, "record %d does not match its anchor", t.Seq)
		}
	}
}

// timeOf is when a record was made.
func timeOf(line []byte) time.Time {
	var r struct {
		At time.Time `json:"at"`
	}
	_ = json.Unmarshal(line, &r)
	return r.At
}

// damaged says what is wrong with the record, and what to do.
func (l *Log) damaged(f Fault) string {
	return fmt.Sprintf("audit log in %s is not intact: %s; copy the directory for the investigation, move it away, "+
		"and restart watchdog to begin a new log", l.dir, f)
}

// Verify holds the log against tips that were noted elsewhere; empty: it has them all.
// Tips of other logs say nothing.
func (l *Log) Verify(tips ...Tip) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v, err := verify(os.DirFS(l.dir), l.keys, tips)
	if err != nil || len(v.Faults) == 0 {
		return "", err
	}
	return l.damaged(v.Faults[0]), nil
}

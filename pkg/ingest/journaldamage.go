package ingest

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"watchdog.io/watchdog/pkg/fileutil"
	"watchdog.io/watchdog/pkg/incident"
)

// damage is one place of the journal at which something was acknowledged that cannot be
// read any more.
type damage struct {
	file    string
	files   int   // how many files are missing, from file on; 0: the file is there
	at      int64 // byte of the file at which the damage begins
	bytes   int64 // how many bytes there cannot be read
	missing int64 // how many bytes of frames are not in the file at all
	kept    string
	keepErr error // why no copy is kept
}

// maxDamageLines bounds how many places are logged one by one.
const maxDamageLines = 10

// damagedPrefix is put before the name of a file of which a copy is kept.
const damagedPrefix = "damaged-"

// keepDamaged copies a file beside itself and returns the name of the copy. Files of a
// journal have numbers that are not used again, so a copy that is there is the one of
// an earlier start.
func keepDamaged(path string) (kept string, err error) {
	kept = filepath.Join(filepath.Dir(path), damagedPrefix+filepath.Base(path))
	if _, err := os.Stat(kept); err == nil {
		return kept, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	err = fileutil.Replace(kept, func(w io.Writer) error {
		_, err := io.Copy(w, f)
		return err
	})
	if err = errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	return kept, nil
}

// String says what is damaged where.
func (d damage) String() string {
	switch {
	case d.files > 1:
		return fmt.Sprintf("%s and the %d files after it are missing", d.file, d.files-1)
	case d.files == 1:
		return fmt.Sprintf("%s is missing", d.file)
	case d.bytes == 0:
		return fmt.Sprintf("%s, byte %d: %d bytes are missing", d.file, d.at, d.missing)
	case d.missing == 0:
		return fmt.Sprintf("%s, byte %d: %d bytes cannot be read", d.file, d.at, d.bytes)
	}
	return fmt.Sprintf("%s, byte %d: %d bytes cannot be read and %d are missing", d.file, d.at, d.bytes, d.missing)
}

// logDamage writes one line for each damaged place.
func logDamage(l *slog.Logger, all []damage) {
	for _, d := range all[:min(len(all), maxDamageLines)] {
		attrs := []any{"file", d.file, "offset", d.at, "bytes", d.bytes + d.missing, "what", d.String()}
		if d.kept != "" {
			attrs = append(attrs, "kept", d.kept)
		}
		if d.keepErr != nil {
			attrs = append(attrs, "not_kept", d.keepErr)
		}
		l.Error("the journal of accepted alerts is damaged; using the rest of it; alerts may be missing until "+
			"their senders repeat them", attrs...)
	}
	if more := len(all) - maxDamageLines; more > 0 {
		l.Error("the journal of accepted alerts is damaged in further places", "places", more)
	}
}

// Alarm is the alert on a damaged journal, part of watchdog's own incident: alerts that
// were accepted may be missing, and no sender knows that it should repeat them.
func (i *Ingester) Alarm(now time.Time) incident.Alert {
	a := incident.Alert{
		Rule: "alerts_lost", Severity: incident.P1, Verdict: incident.OK,
		Reason: "all accepted alerts are known, or their senders had time to repeat them",
		Source: "watchdog", EvaluatedAt: now,
		Ladder: []incident.Rung{{Action: incident.ActionPage, Class: incident.C1}},
	}
	if what := i.lost(now); what != "" {
		a.Firing, a.Verdict, a.ActiveAt = true, incident.Breach, i.opened
		a.Reason = "the journal of accepted alerts is damaged, so alerts may be missing until their senders repeat " +
			"them: " + what + ". Check Alertmanager for firing alerts, and check the volume"
	}
	return a
}

// lost says which accepted alerts may be missing because the journal was damaged at
// the start. It is empty if none are, and once every sender has had the time to
// repeat what still fires.
func (i *Ingester) lost(now time.Time) string {
	if len(i.damage) == 0 || now.Sub(i.opened) >= i.store.limits.Expire {
		return ""
	}
	what := i.damage[0].String()
	if more := len(i.damage) - 1; more > 0 {
		what += fmt.Sprintf(" (and %d more places)", more)
	}
	return what
}

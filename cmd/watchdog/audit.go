package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"watchdog.io/watchdog/pkg/audit"
)

// auditDir is where the daemon of the chart keeps its record.
const auditDir = "/var/lib/watchdog/audit"

func newAudit() *cobra.Command {
	return group(&cobra.Command{
		Use:   "audit",
		Short: "Verify and read the audit log",
		Long: `The audit log is a directory of files with one JSON record per line; each record holds
the hash of the previous one. These commands need no cluster and change nothing, and
can run while the daemon writes to the directory. In the cluster:

  kubectl -n watchdog exec deploy/watchdog -- watchdog audit verify`,
	}, newAuditVerify(), newAuditShow(), newAuditExport(), newAuditReplay())
}

func newAuditVerify() *cobra.Command {
	var keyFile, output string
	var anchors []string
	c := &cobra.Command{
		Use:   "verify [DIR]",
		Short: "Verify the integrity of the audit log",
		Long: `Verify reads the whole audit log and reports each file in which a record was changed,
removed, added, moved, or rewritten without the key. The log alone cannot show that its
newest records were deleted. To check for that, pass --anchor with an entry from the
ledger (kubectl -n watchdog get ledger watchdog -o jsonpath='{.status.anchors}') or
from the daemon's log ("audit record").

Exit status: 0 intact, 1 tampered with or unreadable, 2 usage error.`,
		Args: oneFolder,
		RunE: func(c *cobra.Command, args []string) error {
			dir := folder(args)
			r, err := verifyRecord(dir, keyFile, anchors, output)
			if err != nil {
				return err
			}
			if output == formatJSON {
				if err := printJSON(c.OutOrStdout(), r); err != nil {
					return err
				}
			} else {
				printReport(c.OutOrStdout(), dir, r)
			}
			return faulty(dir, r)
		},
	}
	verifyFlags(c, &keyFile, &anchors, &output)
	return c
}

// verifyFlags are those of the commands that verify.
func verifyFlags(c *cobra.Command, keyFile *string, anchors *[]string, output *string) {
	f := c.Flags()
	f.StringVar(keyFile, "key-file", "",
		"file with the keys that seal the audit log, as --audit.key-file of the daemon")
	f.StringArrayVar(anchors, "anchor", nil, "a record noted elsewhere, as LOG:SEQUENCE:HASH; can be repeated")
	f.StringVarP(output, "output", "o", formatText, "text or json")
}

// verifyRecord reads the whole record in a folder or file, and reports what is not as it was written.
func verifyRecord(dir, keyFile string, anchors []string, output string) (audit.Report, error) {
	if output != formatText && output != formatJSON {
		return audit.Report{}, misused{fmt.Errorf("invalid --output %q; expected one of: text, json", output)}
	}
	keys, err := auditKeys(keyFile)
	if err != nil {
		return audit.Report{}, err
	}
	tips, err := parseAnchors(anchors)
	if err != nil {
		return audit.Report{}, misused{err}
	}
	if _, err := os.Stat(dir); err != nil {
		return audit.Report{}, fmt.Errorf("verify audit log: %w", err)
	}
	r, err := audit.VerifyFolder(dir, keys, tips...)
	if err != nil {
		return audit.Report{}, fmt.Errorf("verify audit log in %s: %w", dir, err)
	}
	return r, nil
}

// faulty is the error of a record that is not as it was written.
func faulty(dir string, r audit.Report) error {
	n := len(r.Faults)
	if n == 0 {
		return nil
	}
	return fmt.Errorf("audit log in %s is not intact: %d %s; copy the directory before you change anything in it",
		dir, n, plural(n, "fault", "faults"))
}

// printReport is what a person reads of a report.
func printReport(w io.Writer, dir string, r audit.Report) {
	for _, x := range r.Faults {
		fmt.Fprintf(w, "%s\n", x)
	}
	if r.Records == 0 {
		fmt.Fprintf(w, "%s: no records\n", dir)
		return
	}
	fmt.Fprintf(w, "%d records in %d %s, from %s to %s\n",
		r.Records, r.Files, plural(r.Files, "file", "files"), r.From.Format(time.RFC3339), r.To.Format(time.RFC3339))
	switch {
	case r.Sealed == 0:
		fmt.Fprintln(w, "no record is sealed with a key: anyone with write access to the directory can rewrite all "+
			"of them")
	case r.Sealed < r.Records:
		fmt.Fprintf(w, "%d records are sealed with a key, %d older ones are not\n", r.Sealed, r.Records-r.Sealed)
	default:
		fmt.Fprintf(w, "all records are sealed with a key (current key: %s)\n", r.Tip.Key)
	}
	fmt.Fprintf(w, "last record: %s:%d:%s\n", r.Tip.Log, r.Tip.Seq, r.Tip.Hash)
}

func newAuditShow() *cobra.Command {
	var want audit.Record
	var since time.Duration
	var output string
	c := &cobra.Command{
		Use:   "show [DIR]",
		Short: "Print records, oldest first",
		Args:  oneFolder,
		RunE: func(c *cobra.Command, args []string) error {
			if output != formatText && output != formatJSON {
				return misused{fmt.Errorf("invalid --output %q; expected one of: text, json", output)}
			}
			after := time.Time{}
			if since > 0 {
				after = time.Now().Add(-since)
			}
			return readRecords(folder(args), func(r audit.Record) error {
				switch {
				case want.Incident != "" && r.Incident != want.Incident, want.Kind != "" && r.Kind != want.Kind,
					want.Op != "" && r.Op != want.Op, r.At.Before(after):
					return nil
				case want.Target != "" && !strings.Contains(r.Target, want.Target):
					return nil
				case output == formatJSON:
					return json.NewEncoder(c.OutOrStdout()).Encode(r)
				}
				_, err := fmt.Fprintln(c.OutOrStdout(), recordLine(r))
				return err
			})
		},
	}
	f := c.Flags()
	f.StringVar(&want.Incident, "incident", "", "show records of this incident only")
	f.StringVar(&want.Target, "target", "", "show records of targets whose namespace/kind/name contains this text only")
	f.StringVar(&want.Kind, "kind", "", "show records of this kind only: act, outcome, responder, config, paged, …")
	f.StringVar(&want.Op, "op", "", "show records of this op only")
	f.DurationVar(&since, "since", 0, "show records of this last period only: 2h")
	f.StringVarP(&output, "output", "o", formatText, "text or json")
	return c
}

// recordLine is a record on one line.
func recordLine(r audit.Record) string {
	parts := []string{r.At.UTC().Format(time.RFC3339), fmt.Sprint(r.Seq), r.Kind}
	for _, x := range []struct{ name, value string }{
		{"incident", r.Incident}, {"op", r.Op}, {"target", r.Target}, {"by", r.Actor}, {"plan", r.Plan},
	} {
		if x.value != "" && (x.name != "by" || x.value != "watchdog") {
			parts = append(parts, x.name+"="+plainWord(x.value))
		}
	}
	return strings.Join(append(parts, plainWord(r.Text)), "  ")
}

// plainWord keeps a text on its line, and control characters from a terminal.
func plainWord(s string) string {
	q := strconv.Quote(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

func newAuditExport() *cobra.Command {
	var keyFile string
	c := &cobra.Command{
		Use:   "export [DIR]",
		Short: "Write all records to standard output and verify them",
		Long: `Export writes the records of all files in order, one JSON object per line, exactly as on
disk. Save the output as audit.jsonl in a directory to verify it again. Export writes all
records even if the log is not intact, and then exits with status 1.`,
		Args: oneFolder,
		RunE: func(c *cobra.Command, args []string) error {
			keys, err := auditKeys(keyFile)
			if err != nil {
				return err
			}
			dir := folder(args)
			if err := audit.Export(dir, c.OutOrStdout()); err != nil {
				return fmt.Errorf("export audit log in %s: %w", dir, err)
			}
			r, err := audit.VerifyFolder(dir, keys)
			if err == nil && len(r.Faults) > 0 {
				err = fmt.Errorf("audit log in %s is not intact: %s", dir, r.Faults[0])
			}
			return err
		},
	}
	c.Flags().StringVar(&keyFile, "key-file", "",
		"file with the keys that seal the audit log, as --audit.key-file of the daemon")
	return c
}

func readRecords(dir string, f func(audit.Record) error) error {
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("read audit log: %w", err)
	}
	if err := audit.Read(dir, f); err != nil {
		return fmt.Errorf("read audit log in %s: %w", dir, err)
	}
	return nil
}

func oneFolder(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return misused{errors.New("expected at most one DIR")}
	}
	return nil
}

func folder(args []string) string {
	if len(args) == 1 {
		return args[0]
	}
	return auditDir
}

func auditKeys(path string) (audit.Keys, error) {
	if path == "" {
		return nil, nil
	}
	return audit.ReadKeys(path)
}

func parseAnchors(all []string) ([]audit.Tip, error) {
	var tips []audit.Tip
	for _, text := range all {
		parts := strings.Split(text, ":")
		if len(parts) != 3 {
			return nil, fmt.Errorf("invalid --anchor %s; use LOG:SEQUENCE:HASH", text)
		}
		seq, err := strconv.ParseUint(parts[1], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("invalid --anchor %s: invalid sequence number %q", text, parts[1])
		}
		tips = append(tips, audit.Tip{Log: parts[0], Seq: seq, Hash: parts[2]})
	}
	return tips, nil
}

func plural(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}

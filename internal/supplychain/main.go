// Command supplychain describes a built binary for those who have to trust it:
//
//	supplychain [flags] sbom FILE        a CycloneDX 1.6 software bill of materials
//	supplychain [flags] provenance FILE  an in-toto statement with SLSA v1 provenance
//
// It reads what the Go linker recorded in the binary and writes JSON to standard
// output. The same binary and flags give the same bytes. make sbom and make release
// call it; it is not part of watchdog.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Getenv("SOURCE_DATE_EPOCH"), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "supplychain:", err)
		os.Exit(1)
	}
}

// run executes one command line. epoch is the commit's date in Unix seconds.
func run(args []string, epoch string, out io.Writer) error {
	var b build
	f := flag.NewFlagSet("supplychain", flag.ContinueOnError)
	f.StringVar(&b.Version, "version", "", "version that the binary was built as")
	f.StringVar(&b.Commit, "commit", "", "commit that the binary was built from")
	f.StringVar(&b.Flags, "flags", "", "flags that were given to go build")
	f.StringVar(&b.Source, "source", "", "URI of the repository, if it has one: git+https://…")
	f.StringVar(&b.Builder, "builder", "", "URI of who ran the build")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() != 2 {
		return errors.New("want sbom or provenance, and a file: supplychain [flags] sbom bin/watchdog")
	}
	bin, err := readBinary(f.Arg(1))
	if err != nil {
		return err
	}
	if err := b.matches(bin); err != nil {
		return err
	}
	var doc any
	switch f.Arg(0) {
	case "sbom":
		at, err := commitDate(epoch)
		if err != nil {
			return err
		}
		doc, err = newBOM(bin, b.Version, at)
		if err != nil {
			return err
		}
	case "provenance":
		doc, err = newStatement(bin, b)
		if err != nil {
			return err
		}
	default:
		return fmt.Errorf("unknown command %q; expected sbom or provenance", f.Arg(0))
	}
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(doc)
}

// commitDate reads SOURCE_DATE_EPOCH (reproducible-builds.org): documents carry the
// commit's date, because today's would make two runs differ.
func commitDate(epoch string) (time.Time, error) {
	s, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("invalid SOURCE_DATE_EPOCH %q: set it to the commit's date, git log -1 "+
			"--format=%%ct", epoch)
	}
	return time.Unix(s, 0).UTC(), nil
}

// Package house holds the rules of the repository that a compiler does not
// check, as ordinary tests with their reasons.
package house

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "watchdog.io/watchdog/"

// mayImport is the direction of the flow (docs/architecture.md): each package
// and the packages of ours that it may import.
var mayImport = map[string][]string{
	"pkg/incident":     {},
	"pkg/timeinterval": {},
	"pkg/strutil":      {},
	"pkg/secretfile":   {},
	// the words of severities, modes and actions
	"pkg/config":   {"pkg/timeinterval", "pkg/incident", "pkg/maintenance", "pkg/remediate"},
	"pkg/probes":   {"pkg/config", "pkg/httpclient", "pkg/strutil", "pkg/secretfile"},
	"pkg/storage":  {"pkg/fileutil"},
	"pkg/promql":   {"pkg/httpclient", "pkg/secretfile", "pkg/storage"},
	"pkg/rules":    {"pkg/promql", "pkg/storage"},
	"pkg/redact":   {},
	"pkg/fileutil": {},
	"pkg/audit":    {"pkg/fileutil"},
	// an external alert becomes an alert on a target, beside those of rules
	"pkg/ingest":           {"pkg/fileutil", "pkg/incident", "pkg/remediate", "pkg/rules", "pkg/strutil"},
	"pkg/remediate":        {"pkg/incident"},
	"pkg/notify":           {"pkg/incident", "pkg/config", "pkg/httpclient", "pkg/strutil", "pkg/secretfile"},
	"pkg/notify/slack":     {"pkg/config", "pkg/incident", "pkg/notify", "pkg/responder", "pkg/strutil"},
	"pkg/notify/pagerduty": {"pkg/config", "pkg/incident", "pkg/notify", "pkg/strutil"},
	"pkg/notify/email": {"pkg/config", "pkg/httpclient", "pkg/incident", "pkg/notify", "pkg/secretfile",
		"pkg/strutil"},
	"pkg/notify/webhook": {"pkg/config", "pkg/httpclient", "pkg/incident", "pkg/notify", "pkg/secretfile",
		"pkg/strutil"},
	"pkg/notify/statuspage": {"pkg/config", "pkg/incident", "pkg/notify", "pkg/strutil"},
	"pkg/notify/receivers": {"pkg/config", "pkg/notify", "pkg/notify/email", "pkg/notify/pagerduty",
		"pkg/notify/slack", "pkg/notify/statuspage", "pkg/notify/webhook"},
	"pkg/outbox": {"pkg/config", "pkg/fileutil", "pkg/incident", "pkg/notify", "pkg/strutil"},
	"pkg/kube":   {"pkg/incident", "pkg/responder", "pkg/maintenance", "pkg/remediate", "pkg/strutil"},
	// the guards' answers are weighed again
	"pkg/decision":       {"pkg/audit", "pkg/incident", "pkg/remediate"},
	"pkg/engine":         {"pkg/incident", "pkg/remediate", "pkg/audit", "pkg/decision"},
	"pkg/review":         {"pkg/incident"},
	"pkg/audit/recorder": {"pkg/audit", "pkg/engine", "pkg/incident", "pkg/redact"},
	"pkg/evidence":       {"pkg/fileutil", "pkg/incident", "pkg/kube", "pkg/redact"},
	"pkg/review/overdue": {"pkg/timeinterval", "pkg/incident", "pkg/review"},
	"pkg/responder":      {"pkg/incident"},
	"pkg/web": {"pkg/incident", "pkg/ingest", "pkg/responder", "pkg/secretfile", "pkg/httpclient",
		"pkg/rules"},
	"pkg/policy": {"pkg/timeinterval", "pkg/strutil", "pkg/config", "pkg/engine", "pkg/ingest",
		"pkg/incident", "pkg/probes", "pkg/remediate", "pkg/rules", "pkg/promql"},
	"pkg/app": {"pkg/policy", "pkg/maintenance/controller", "pkg/alertmanager", "pkg/audit",
		"pkg/timeinterval", "pkg/config", "pkg/decision", "pkg/redact", "pkg/fileutil", "pkg/engine",
		"pkg/responder/inbound",
		"pkg/ingest", "pkg/httpclient", "pkg/incident", "pkg/kube", "pkg/maintenance", "pkg/notify",
		"pkg/notify/receivers", "pkg/outbox", "pkg/responder", "pkg/probes", "pkg/remediate", "pkg/rules",
		"pkg/selfwatch", "pkg/web", "pkg/strutil", "pkg/promql", "pkg/storage", "pkg/evidence", "pkg/review/overdue",
		"pkg/snapshot", "pkg/audit/recorder"},
	// simulate hands the policy to the simulator
	"cmd/watchdog": {"pkg/policy", "pkg/app", "pkg/audit", "pkg/timeinterval", "pkg/config", "pkg/decision",
		"pkg/redact", "pkg/incident", "pkg/kube", "pkg/maintenance", "pkg/notify", "pkg/notify/receivers",
		"pkg/responder", "pkg/probes", "pkg/review", "pkg/rules", "internal/backtest", "internal/history",
		"internal/lint", "internal/policytest", "internal/sim", "pkg/strutil", "pkg/promql", "pkg/review/overdue"},
	"pkg/snapshot": {"pkg/alertmanager", "pkg/config", "pkg/engine", "pkg/ingest", "pkg/kube",
		"pkg/maintenance/controller", "pkg/policy", "pkg/probes", "pkg/promql", "pkg/redact", "pkg/remediate",
		"pkg/rules", "pkg/selfwatch"},
	"pkg/httpclient": {},
	"pkg/selfwatch": {"pkg/config", "pkg/engine", "pkg/httpclient", "pkg/incident", "pkg/notify",
		"pkg/outbox", "pkg/promql", "pkg/redact", "pkg/rules", "pkg/storage", "pkg/strutil"},
	"pkg/maintenance": {},
	"pkg/maintenance/controller": {"pkg/alertmanager", "pkg/engine", "pkg/incident", "pkg/kube", "pkg/maintenance",
		"pkg/notify", "pkg/remediate", "pkg/rules", "pkg/strutil"},
	"pkg/responder/inbound": {"pkg/config", "pkg/httpclient", "pkg/incident", "pkg/responder", "pkg/strutil",
		"pkg/secretfile"},

	"pkg/alertmanager": {"pkg/httpclient", "pkg/strutil"},
}

// mayUse limits what a package may take from outside the standard library.
var mayUse = map[string][]string{
	"pkg/incident":   {}, // the core is pure: explored, simulated and replayed as it is
	"pkg/review":     {},
	"pkg/responder":  {},
	"pkg/audit":      {}, // must stay trivially correct
	"pkg/fileutil":   {},
	"pkg/strutil":    {},
	"pkg/secretfile": {},
	"pkg/redact":     {},

	"pkg/maintenance": {},
	"pkg/httpclient":  {},
}

// forbidden imports, each with its reason.
var forbidden = map[string]string{
	"k8s.io/client-go/kubernetes": "use the narrow typed clients: the whole clientset adds " +
		"19 MiB to the binary",
	"k8s.io/client-go/informers":                         "it imports the whole clientset",
	"github.com/prometheus/prometheus/config":            "it drags three cloud SDKs into the binary",
	"github.com/prometheus/prometheus/tsdb":              "it drags three cloud SDKs into the binary",
	"github.com/prometheus/prometheus/rules":             "it drags three cloud SDKs into the binary",
	"github.com/prometheus/prometheus/promql/promqltest": "tests only",
	"github.com/stretchr/testify":                        "use go-cmp and the standard library",
	"os/exec":                                            "the daemon runs no programs (SEC-18)",
	"plugin":                                             "the daemon loads no code (SEC-18)",
	"C":                                                  "the binary is static, and Go only",
}

type source struct {
	pkg     string // folder from the root
	file    string
	imports []string
	doc     string
}

func sources(t *testing.T, tests bool, roots ...string) []source {
	t.Helper()
	var all []source
	for _, root := range roots {
		err := filepath.WalkDir(filepath.Join("../..", root), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") ||
				strings.HasSuffix(path, "_test.go") != tests {
				return err
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly|parser.ParseComments)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel("../..", path)
			if err != nil {
				return err
			}
			s := source{pkg: filepath.ToSlash(filepath.Dir(rel)), file: filepath.ToSlash(rel)}
			if f.Doc != nil {
				s.doc = f.Doc.Text()
			}
			for _, i := range f.Imports {
				s.imports = append(s.imports, unquote(i))
			}
			all = append(all, s)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(all) == 0 {
		t.Fatal("no sources found")
	}
	return all
}

func unquote(i *ast.ImportSpec) string {
	s, err := strconv.Unquote(i.Path.Value)
	if err != nil {
		return i.Path.Value
	}
	return s
}

func TestImportsPointOnlyAtWhatComesEarlierInTheFlow(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range sources(t, false, "pkg", "cmd") {
		allowed, known := mayImport[s.pkg]
		if !known {
			t.Errorf("%s: package %s is not in the table; add it with what it may import", s.file, s.pkg)
			continue
		}
		seen[s.pkg] = true
		for _, i := range s.imports {
			if ours, is := strings.CutPrefix(i, module); is && !slices.Contains(allowed, ours) {
				t.Errorf("%s imports %s; %s may import only %v", s.file, ours, s.pkg, allowed)
			}
			if outside, limited := mayUse[s.pkg]; limited && strings.Contains(strings.Split(i, "/")[0], ".") &&
				!strings.HasPrefix(i, module) && !slices.Contains(outside, i) {
				t.Errorf("%s imports %s; %s uses the standard library only", s.file, i, s.pkg)
			}
		}
	}
	for p := range mayImport {
		if !seen[p] {
			t.Errorf("the table names %s, which does not exist", p)
		}
	}
}

func TestNothingShippedImportsWhatItMustNot(t *testing.T) {
	for _, s := range shipped(t) {
		for _, i := range s.imports {
			if why, bad := forbidden[i]; bad {
				t.Errorf("%s imports %s: %s", s.file, i, why)
			}
		}
	}
}

// TestOnlyOnePackageMayWriteToTheCluster holds INV-03: the typed clients and the
// dynamic client, which can write without a precondition, are known to one package.
func TestOnlyOnePackageMayWriteToTheCluster(t *testing.T) {
	for _, s := range sources(t, false, "pkg", "cmd") {
		for _, i := range s.imports {
			if s.pkg != "pkg/kube" && (strings.HasPrefix(i, "k8s.io/client-go/kubernetes") ||
				strings.HasPrefix(i, "k8s.io/client-go/dynamic") || i == "k8s.io/client-go/rest") {
				t.Errorf("%s imports %s; only pkg/kube may hold a client that writes", s.file, i)
			}
		}
	}
}

func TestEveryPackageSaysWhatItOwns(t *testing.T) {
	docs := map[string]string{}
	for _, s := range sources(t, false, "pkg", "cmd", "internal", "examples") {
		docs[s.pkg] += s.doc
	}
	for pkg, doc := range docs {
		switch {
		case doc == "":
			t.Errorf("%s has no package comment", pkg)
		case strings.HasPrefix(pkg, "pkg/") && (!strings.Contains(doc, "owns") || !strings.Contains(doc, "one rule")):
			t.Errorf("the package comment of %s does not say what it owns and its one rule", pkg)
		}
	}
}

var skips = regexp.MustCompile(`\b[tb]\.Skip`)

func TestTestsDoNotSleep(t *testing.T) {
	for _, root := range []string{"pkg", "cmd", "internal", "examples", "test"} {
		err := filepath.WalkDir(filepath.Join("../..", root), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") ||
				strings.HasSuffix(path, "house_test.go") {
				return err
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text := string(b)
			if skips.MatchString(text) {
				t.Errorf("%s skips; a test runs or it is no test", path)
			}
			if strings.Contains(text, "time.Sleep(") && !strings.Contains(text, "testing/synctest") {
				t.Errorf("%s sleeps on the real clock; use testing/synctest or wait for the event", path)
			}
			return nil
		})
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
}

var braces = regexp.MustCompile(`^(.*)\{(.*)\}$`)

// TestTheTableOfPackagesSaysWhatEachImports compares the last column of docs/architecture.md with mayImport.
func TestTheTableOfPackagesSaysWhatEachImports(t *testing.T) {
	b, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(b), "| package | owns | imports of ours |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	named := map[string]bool{}
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		names, last := strings.Trim(cells[0], "| `"), strings.TrimSuffix(cells[len(cells)-1], " |")
		packages := []string{names}
		if m := braces.FindStringSubmatch(names); m != nil {
			packages = strings.Split(m[1]+strings.ReplaceAll(m[2], ",", ","+m[1]), ",")
		}
		var want []string
		for _, p := range packages {
			named[p] = true
			for _, i := range mayImport[p] {
				want = append(want, strings.TrimPrefix(i, "pkg/"))
			}
		}
		slices.Sort(want)
		text := cmp.Or(strings.Join(slices.Compact(want), ", "), "nothing")
		_, known := mayImport[packages[0]]
		if last = strings.TrimSuffix(last, ", standard library only"); known && last != text && last != "all below" {
			t.Errorf("docs/architecture.md: say in the last column of %s: %s", names, text)
		}
	}
	for p := range mayImport {
		if !named[p] {
			t.Errorf("docs/architecture.md: give the table of packages a row for %s", p)
		}
	}
}

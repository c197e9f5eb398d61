package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
)

// The kinds of fault.
const (
	faultSlow       = "slow"        // each request takes longer
	faultErrors     = "errors"      // a share of the requests fails
	faultDatabase   = "database"    // a dependency is down …
	faultRedis      = "redis"       //
	faultExternal   = "external"    // … which a restart cannot mend
	faultAgents     = "agents"      // all agents but one are lost; a restart mends it
	faultCrash      = "crash"       // ends soon after its start
	faultLeak       = "leak"        // takes ever more memory
	faultNeverReady = "never-ready" // never ready for requests
)

// liveFaults can befall a running process, releaseFaults be part of a release.
func liveFaults() []string {
	return []string{faultSlow, faultErrors, faultDatabase, faultRedis, faultExternal, faultAgents}
}

func releaseFaults() []string {
	return append(liveFaults(), faultCrash, faultLeak, faultNeverReady)
}

// faults is a set of kinds.
type faults []string

func (f faults) has(kind string) bool { return slices.Contains(f, kind) }

// parseFaults reads kinds separated by commas or white space; "none" is none.
func parseFaults(text string, known []string) (faults, error) {
	var f faults
	for _, kind := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) }) {
		switch {
		case kind == "none":
		case !slices.Contains(known, kind):
			return nil, fmt.Errorf("no fault %q; there are %v", kind, known)
		default:
			f = append(f, kind)
		}
	}
	return f, nil
}

// injected is what befell the process while it ran.
type injected struct {
	mu   sync.Mutex
	set  faults // by /admin/fault
	file faults // by FAULT_FILE
}

func (i *injected) has(kind string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.set.has(kind) || i.file.has(kind)
}

func (i *injected) turn(kind string, on bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.set = slices.DeleteFunc(slices.Clone(i.set), func(k string) bool { return k == kind || kind == "none" })
	if on && kind != "none" {
		i.set = append(i.set, kind)
	}
}

func (i *injected) all() faults {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Concat(faults{}, i.set, i.file)
}

// admin is POST /admin/fault?kind=database&on=true, for this process only.
// Without on the fault begins; kind=none ends all that came this way.
func (a *app) admin(w http.ResponseWriter, r *http.Request) {
	kind, on := r.FormValue("kind"), r.FormValue("on")
	if !slices.Contains(append(liveFaults(), "none"), kind) || !slices.Contains([]string{"", "true", "false"}, on) {
		http.Error(w, fmt.Sprintf("kind=%q on=%q; kind is one of %v or none, on true or false", kind, on, liveFaults()),
			http.StatusBadRequest)
		return
	}
	a.injected.turn(kind, on != "false")
	reply(w, http.StatusOK, map[string]any{"faults": a.injected.all()})
}

// readFault follows FAULT_FILE, which reaches all replicas at once. A file that
// is not there is an empty one.
func (a *app) readFault() {
	if a.faultFile == "" {
		return
	}
	b, err := os.ReadFile(a.faultFile)
	if err != nil && !os.IsNotExist(err) {
		a.complain("ERROR cannot read the fault file: " + err.Error())
		return
	}
	f, err := parseFaults(string(b), liveFaults())
	if err != nil {
		a.complain("ERROR fault file " + a.faultFile + ": " + err.Error())
		return
	}
	// Agents died in the processes of that time; a process started since then has its own.
	if info, err := os.Stat(a.faultFile); err == nil && info.ModTime().Before(a.started) {
		f = slices.DeleteFunc(f, func(k string) bool { return k == faultAgents })
	}
	a.injected.mu.Lock()
	defer a.injected.mu.Unlock()
	if !slices.Equal(a.injected.file, f) {
		log.Printf("WARN faults by file: %v", []string(f))
	}
	a.injected.file = f
}

//go:build integration

// Package servers probes real servers, as Debian packages them.
package servers

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/internal/recorders"
	"watchdog.io/watchdog/pkg/probes"
)

const password = "correct horse"

// certificates are those of one server, as files.
type certificates struct{ ca, cert, key string }

// issue writes a certificate for localhost into dir.
func issue(t *testing.T, dir string) certificates {
	t.Helper()
	authority, err := recorders.NewAuthority()
	must(t, err)
	_, cert, key, err := authority.Issue(time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	must(t, err)
	c := certificates{filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	must(t, os.WriteFile(c.ca, authority.PEM(), 0o644))
	must(t, os.WriteFile(c.cert, cert, 0o644))
	must(t, os.WriteFile(c.key, key, 0o600))
	return c
}

// start runs a server until the test ends, and returns once it has written the text ready.
func start(t *testing.T, cmd *exec.Cmd, ready string) *os.Process {
	t.Helper()
	read, write, err := os.Pipe()
	must(t, err)
	cmd.Stdout, cmd.Stderr = write, write
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	must(t, cmd.Start())
	must(t, write.Close())
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // with all that it started
		_ = cmd.Wait()
		_ = read.Close()
	})
	var said []string
	lines := bufio.NewScanner(read)
	for lines.Scan() {
		said = append(said, lines.Text())
		if strings.Contains(lines.Text(), ready) {
			go func() { _, _ = io.Copy(io.Discard, read) }()
			return cmd.Process
		}
	}
	t.Fatalf("%s ended at once: %s", cmd.Path, strings.Join(said, "\n"))
	return nil
}

// installed fails the test if a program is missing.
func installed(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%v: `hack/need servers` installs it on Debian", err)
	}
	return path
}

// freePort is one that nothing listens at.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

func secretFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	must(t, os.WriteFile(file, []byte(text+"\n"), 0o600))
	return file
}

// look probes once, within a time.
func look(t *testing.T, probe probes.Probe, within time.Duration) (probes.Result, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	began := time.Now()
	r, err := probe(ctx, began)
	if took := time.Since(began); took > within+5*time.Second {
		t.Errorf("the probe returned after %s, its timeout is %s", took, within)
	}
	text := r.Detail
	if err != nil {
		text = err.Error()
	}
	if strings.Contains(text, password) {
		t.Errorf("the message contains the password: %s", text)
	}
	t.Logf("%s: %s", r.State, text)
	return r, text
}

func values(samples []*model.Sample) map[string]float64 {
	all := map[string]float64{}
	for _, s := range samples {
		all[s.Metric.String()] = float64(s.Value)
	}
	return all
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

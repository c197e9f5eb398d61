//go:build integration

package mail

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"

	"github.com/fsnotify/fsnotify"

	"watchdog.io/watchdog/internal/recorders"
)

// exim is a running Exim that asks for a password and writes mails into files.
type exim struct {
	dir       string
	starttls  string // host:port
	implicit  string
	delivered *fsnotify.Watcher
}

const (
	username = "watchdog"
	password = "correct horse"
)

// eximPath is where Debian has it; /usr/sbin is not on everybody's path.
const eximPath = "/usr/sbin/exim4"

var eximConfig = template.Must(template.New("").Parse(`
exim_path = {{ .Path }}
spool_directory = {{ .Dir }}/spool
log_file_path = {{ .Dir }}/%slog
pid_file_path = {{ .Dir }}/pid
primary_hostname = mail.example.com
local_interfaces = 127.0.0.1
daemon_smtp_ports = {{ .StartTLS }} : {{ .Implicit }}
tls_on_connect_ports = {{ .Implicit }}
tls_advertise_hosts = *
tls_certificate = {{ .Dir }}/cert.pem
tls_privatekey = {{ .Dir }}/key.pem
auth_advertise_hosts = ${if eq{$tls_in_cipher}{}{}{*}}
acl_smtp_rcpt = rcpt
message_size_limit = 64K
host_lookup =
rfc1413_hosts =
keep_environment =
smtp_accept_max = 20

begin acl
rcpt:
  deny message = nobody of that name
       ! local_parts = oncall : lead
  accept authenticated = *
         domains = example.com
  deny message = give a password first

begin routers
all:
  driver = accept
  transport = files

begin transports
files:
  driver = appendfile
  directory = {{ .Dir }}/mail
  maildir_format
  {{ with .User }}user = {{ . }}{{ end }}

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_condition = ${if and{ {eq{$auth2}{` + username + `}} {eq{$auth3}{` + password + `}} }}
  server_set_id = $auth2
`))

// start starts an Exim whose certificate the authority signed.
func start(t *testing.T, authority *recorders.Authority) *exim {
	t.Helper()
	if _, err := os.Stat(eximPath); err != nil {
		t.Fatalf("%v: Exim is missing; `hack/need servers` installs it on Debian", err)
	}
	// Exim gives up root's rights while it works, and must reach its folder all the same.
	dir, err := os.MkdirTemp("", "watchdog-exim-")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	must(t, os.Chmod(dir, 0o755))
	s := &exim{dir: dir}
	_, cert, key, err := authority.Issue(time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "cert.pem"), cert, 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "key.pem"), key, 0o600))
	must(t, os.Mkdir(filepath.Join(dir, "spool"), 0o755))
	for _, sub := range []string{"", "cur", "new", "tmp"} {
		must(t, os.Mkdir(filepath.Join(dir, "mail", sub), 0o755))
	}
	owner := ""
	if os.Getuid() == 0 {
		owner = "Debian-exim"
		give(t, dir, owner)
	}
	one, two := freePort(t), freePort(t)
	s.starttls, s.implicit = "127.0.0.1:"+strconv.Itoa(one), "127.0.0.1:"+strconv.Itoa(two)
	file := filepath.Join(dir, "exim.conf")
	f, err := os.Create(file)
	must(t, err)
	must(t, eximConfig.Execute(f, map[string]any{"Path": eximPath, "Dir": dir, "StartTLS": one, "Implicit": two,
		"User": owner}))
	must(t, f.Close())
	s.delivered, err = fsnotify.NewWatcher()
	must(t, err)
	t.Cleanup(func() { must(t, s.delivered.Close()) })
	must(t, s.delivered.Add(filepath.Join(dir, "mail", "new")))
	// -d says on stderr when it listens.
	cmd := exec.Command(eximPath, "-C", file, "-bdf", "-d-all+process_info")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StderrPipe()
	must(t, err)
	cmd.Stdout = os.Stderr
	must(t, cmd.Start())
	t.Cleanup(func() {
		// With all that it started: they would write into a folder that is being removed.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	var said []string
	for lines.Scan() {
		said = append(said, lines.Text())
		if strings.Contains(lines.Text(), "listening") || strings.Contains(lines.Text(), "daemon running") {
			go func() {
				for lines.Scan() {
					continue
				}
			}()
			return s
		}
	}
	log, _ := os.ReadFile(filepath.Join(dir, "mainlog"))
	t.Fatalf("Exim ended at once: %s\n%s", strings.Join(said, "\n"), log)
	return nil
}

// next waits for the next mail to be delivered and returns it.
func (s *exim) next(t *testing.T) string {
	t.Helper()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	for {
		select {
		case e := <-s.delivered.Events:
			if e.Has(fsnotify.Create) {
				b, err := os.ReadFile(e.Name)
				must(t, err)
				return string(b)
			}
		case err := <-s.delivered.Errors:
			t.Fatal(err)
		case <-limit.C:
			log, _ := os.ReadFile(filepath.Join(s.dir, "mainlog"))
			t.Fatalf("no mail was delivered; Exim says:\n%s", log)
		}
	}
}

// give makes a user the owner of a folder and all in it.
func give(t *testing.T, dir, owner string) {
	t.Helper()
	u, err := user.Lookup(owner)
	must(t, err)
	uid, err := strconv.Atoi(u.Uid)
	must(t, err)
	gid, err := strconv.Atoi(u.Gid)
	must(t, err)
	must(t, filepath.Walk(dir, func(path string, _ os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, uid, gid)
	}))
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(fmt.Errorf("mail server: %w", err))
	}
}

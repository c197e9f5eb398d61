package remediate

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// maxBackoff is how often the pods of a Job may fail before it gives up.
const maxBackoff = 3

// manifest is the part of a Job that is vetted before it may run.
type manifest struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Namespace string `json:"namespace"`
	} `json:"metadata"`
	Spec struct {
		ActiveDeadlineSeconds *int64 `json:"activeDeadlineSeconds"`
		BackoffLimit          *int64 `json:"backoffLimit"`
		Parallelism           *int64 `json:"parallelism"`
		Completions           *int64 `json:"completions"`
		Template              struct {
			Spec podSpec `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
}

type podSpec struct {
	Containers     []container `json:"containers"`
	InitContainers []container `json:"initContainers"`
	ServiceAccount string      `json:"serviceAccountName"`
	OldAccount     string      `json:"serviceAccount"` // the deprecated name, which the API server still reads
	HostNetwork    bool        `json:"hostNetwork"`
	HostPID        bool        `json:"hostPID"`
	HostIPC        bool        `json:"hostIPC"`
	Volumes        []struct {
		Name     string `json:"name"`
		HostPath *struct {
			Path string `json:"path"`
		} `json:"hostPath"`
	} `json:"volumes"`
}

type container struct {
	Name    string   `json:"name"`
	TTY     bool     `json:"tty"`
	Stdin   bool     `json:"stdin"`
	Command []string `json:"command"`
	Args    []string `json:"args"`
	Ports   []struct {
		HostPort int64 `json:"hostPort"`
	} `json:"ports"`
	Security *struct {
		Privileged   bool  `json:"privileged"`
		Escalation   *bool `json:"allowPrivilegeEscalation"`
		Capabilities *struct {
			Add []string `json:"add"`
		} `json:"capabilities"`
	} `json:"securityContext"`
	Env []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"env"`
}

// VetJob returns everything that is wrong with a Job template, or nil: the same check as
// immediately before a run. namespaces are those of the targets.
func VetJob(raw json.RawMessage, namespaces, allow []string) error {
	_, err := vetJob(raw, namespaces, allow)
	return err
}

// vetJob returns the manifest decoded, or everything that is wrong with it.
func vetJob(raw json.RawMessage, namespaces, allow []string) (map[string]any, error) {
	var m manifest
	// As the API server reads it: encoding/json would take "STDIN" for "stdin", and
	// what is vetted would not be what runs.
	if err := utiljson.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	v, err := decodeNumbers(raw)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	doc, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("read manifest: not a JSON object")
	}
	wrong := append([]error{m.bounded(), unresolved(doc), credentials(doc)}, m.restricted(allow)...)
	if m.APIVersion != "batch/v1" || m.Kind != "Job" {
		wrong = append(wrong, fmt.Errorf("it is a %s %s, not a batch/v1 Job", m.APIVersion, m.Kind))
	}
	if m.Metadata.Namespace != "" && !slices.Contains(namespaces, m.Metadata.Namespace) {
		wrong = append(wrong, fmt.Errorf("its namespace is %s, not the target's (%s)", m.Metadata.Namespace,
			strings.Join(namespaces, " or ")))
	}
	for _, c := range m.containers() {
		wrong = append(wrong, c.unattended(), c.literalSecret())
	}
	if len(m.Spec.Template.Spec.Containers) == 0 {
		wrong = append(wrong, errors.New("it has 0 containers"))
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return doc, nil
}

func (m manifest) containers() []container {
	return slices.Concat(m.Spec.Template.Spec.InitContainers, m.Spec.Template.Spec.Containers)
}

// Allowances of a Job template: what is refused unless the configuration allows it by
// name. With them a Job can do more than the ordinary pods of its namespace.
const (
	AllowPrivileged     = "privileged"      // privileged, allowPrivilegeEscalation, added capabilities
	AllowHost           = "host"            // hostPath, hostNetwork, hostPID, hostIPC, hostPort
	AllowServiceAccount = "service_account" // another service account than the namespace's default
	AllowParallel       = "parallel"        // more than one pod
	AllowShell          = "shell"           // sh -c and its like
)

// JobAllowances are all of them.
var JobAllowances = []string{AllowPrivileged, AllowHost, AllowServiceAccount, AllowParallel, AllowShell}

// restricted are the reasons why the Job may not run without an allowance.
func (m manifest) restricted(allow []string) []error {
	var wrong []error
	refuse := func(allowance, format string, args ...any) {
		if !slices.Contains(allow, allowance) {
			wrong = append(wrong, fmt.Errorf(format+" (to permit it: `job_templates: allow: [%s]`)",
				append(args, allowance)...))
		}
	}
	pod := m.Spec.Template.Spec
	if a := cmp.Or(pod.ServiceAccount, pod.OldAccount, "default"); a != "default" {
		refuse(AllowServiceAccount, "it runs as service account %s, with that account's permissions", a)
	}
	for name, on := range map[string]bool{"hostIPC": pod.HostIPC, "hostNetwork": pod.HostNetwork,
		"hostPID": pod.HostPID} {
		if on {
			refuse(AllowHost, "it uses %s", name)
		}
	}
	for _, v := range pod.Volumes {
		if v.HostPath != nil {
			refuse(AllowHost, "volume %s mounts the node's directory %s", v.Name, v.HostPath.Path)
		}
	}
	for what, n := range map[string]*int64{"completions": m.Spec.Completions, "parallelism": m.Spec.Parallelism} {
		if n != nil && *n > 1 {
			refuse(AllowParallel, "spec.%s is %d, more than 1 pod", what, *n)
		}
	}
	for _, c := range m.containers() {
		c.restricted(refuse)
	}
	slices.SortFunc(wrong, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return wrong
}

func (c container) restricted(refuse func(allowance, format string, args ...any)) {
	if s := c.Security; s != nil {
		if s.Privileged {
			refuse(AllowPrivileged, "container %s is privileged", c.Name)
		}
		if s.Escalation != nil && *s.Escalation {
			refuse(AllowPrivileged, "container %s allows privilege escalation", c.Name)
		}
		if s.Capabilities != nil && len(s.Capabilities.Add) > 0 {
			refuse(AllowPrivileged, "container %s adds the capabilities %s", c.Name,
				strings.Join(s.Capabilities.Add, ", "))
		}
	}
	for _, p := range c.Ports {
		if p.HostPort > 0 {
			refuse(AllowHost, "container %s uses host port %d", c.Name, p.HostPort)
		}
	}
	if argv := slices.Concat(c.Command, c.Args); shell(argv) {
		refuse(AllowShell, "container %s runs a shell (%s), whose commands cannot be vetted", c.Name,
			clip(strings.Join(argv[:2], " ")))
	}
}

// shell reports whether a command line hands a script to a shell.
func shell(argv []string) bool {
	if len(argv) < 2 {
		return false
	}
	if path.Base(argv[0]) == "env" {
		argv = argv[1:]
	}
	switch path.Base(argv[0]) {
	case "sh", "bash", "dash", "ash", "ksh", "zsh", "busybox":
		return slices.ContainsFunc(argv[1:], func(a string) bool {
			return strings.HasPrefix(a, "-") && !strings.HasPrefix(a, "--") && strings.Contains(a, "c")
		})
	}
	return false
}

// bounded: a Job must terminate by itself.
func (m manifest) bounded() error {
	var wrong []error
	if d := m.Spec.ActiveDeadlineSeconds; d == nil || *d <= 0 {
		wrong = append(wrong, errors.New("spec.activeDeadlineSeconds is missing: the Job could run forever"))
	}
	switch b := m.Spec.BackoffLimit; {
	case b == nil:
		wrong = append(wrong, fmt.Errorf("spec.backoffLimit is missing: Kubernetes defaults to 6, more than %d", maxBackoff))
	case *b > maxBackoff:
		wrong = append(wrong, fmt.Errorf("spec.backoffLimit is %d, more than %d", *b, maxBackoff))
	case *b < 0:
		wrong = append(wrong, fmt.Errorf("spec.backoffLimit is %d, less than 0", *b))
	}
	return errors.Join(wrong...)
}

func (c container) unattended() error {
	if c.TTY || c.Stdin {
		return fmt.Errorf("container %s requests a terminal (tty or stdin), but runs unattended", c.Name)
	}
	return nil
}

func (c container) literalSecret() error {
	secret := regexp.MustCompile(`(?i)PASSWORD|TOKEN|SECRET|KEY`)
	for _, e := range c.Env {
		if e.Value != "" && secret.MatchString(e.Name) {
			return fmt.Errorf("container %s contains a literal secret in env %s: use valueFrom.secretKeyRef or envFrom",
				c.Name, e.Name)
		}
	}
	return nil
}

// unresolved finds variables that were not substituted.
func unresolved(doc map[string]any) error {
	if s := find(doc, regexp.MustCompile(`\$\{[^}]*\}?`)); s != "" {
		return fmt.Errorf("variable %s is not substituted", clip(s))
	}
	return nil
}

// credentials finds a user and password in a URL, without repeating them.
func credentials(doc map[string]any) error {
	if s := find(doc, regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s:@]*:[^/\s@$]+@`)); s != "" {
		scheme, _, _ := strings.Cut(s, "://")
		return fmt.Errorf("a %s:// URL contains a password: use a Secret", scheme)
	}
	return nil
}

// find returns the first match in any key or value.
func find(v any, re *regexp.Regexp) string {
	switch v := v.(type) {
	case string:
		return re.FindString(v)
	case []any:
		for _, item := range v {
			if s := find(item, re); s != "" {
				return s
			}
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if s := cmp.Or(re.FindString(k), find(v[k], re)); s != "" {
				return s
			}
		}
	}
	return ""
}

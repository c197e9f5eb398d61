//go:build integration

// Package chart renders the Helm chart with values as people write them, and looks at
// what comes out. It needs the testbed's helm and no cluster.
package chart

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"watchdog.io/watchdog/pkg/config"
)

const dir = "../../deploy/helm/watchdog"

type object = map[string]any

// helm renders the chart with the text of a values file.
func helm(t *testing.T, values string, args ...string) (string, error) {
	t.Helper()
	return run(t, values, "template", args...)
}

// notes are what an install with these values says at its end.
func notes(t *testing.T, values string) string {
	t.Helper()
	out, err := run(t, values, "install", "--dry-run=client", "--kubeconfig", os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	_, notes, _ := strings.Cut(out, "\nNOTES:\n")
	return notes
}

// run is a command of helm over the chart and a file with the values.
func run(t *testing.T, values, command string, args ...string) (string, error) {
	t.Helper()
	scratch, err := os.MkdirTemp("", "chart-") // no comma, as in a test's name: helm would split at it
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(scratch)
	file := filepath.Join(scratch, "values.yaml")
	if err := os.WriteFile(file, []byte(values), 0o600); err != nil {
		t.Fatal(err)
	}
	program, err := filepath.Abs("../../bin/testbed")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program,
		append([]string{"helm", command, "wd", dir, "-n", "ops", "-f", file}, args...)...)
	var out, bad bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &bad
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%w: %s", err, bad.String())
	}
	return out.String(), nil
}

// render is helm and every object of what comes out. A key that is there twice in a
// mapping is an error, as it is to Flux and kustomize.
func render(t *testing.T, values string, args ...string) []object {
	t.Helper()
	text, err := helm(t, values, args...)
	if err != nil {
		t.Fatal(err)
	}
	all, err := decode(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return all
}

func decode(text string) ([]object, error) {
	var all []object
	for d := yaml.NewDecoder(strings.NewReader(text)); ; {
		var o object
		err := d.Decode(&o)
		switch {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		case o != nil:
			all = append(all, o)
		}
	}
}

// find returns the object of a kind whose name ends so.
func find(t *testing.T, all []object, kind, suffix string) object {
	t.Helper()
	for _, o := range all {
		if name, _ := at(o, "metadata", "name").(string); o["kind"] == kind && strings.HasSuffix(name, suffix) {
			return o
		}
	}
	t.Fatalf("no %s *%s", kind, suffix)
	return nil
}

// at follows keys and indexes.
func at(v any, path ...any) any {
	for _, p := range path {
		switch x := p.(type) {
		case string:
			m, _ := v.(object)
			v = m[x]
		case int:
			l, _ := v.([]any)
			if x >= len(l) {
				return nil
			}
			v = l[x]
		}
	}
	return v
}

func container(t *testing.T, all []object) any {
	t.Helper()
	return at(find(t, all, "Deployment", "wd-watchdog"), "spec", "template", "spec", "containers", 0)
}

func args(c any) []string {
	var all []string
	for _, a := range at(c, "args").([]any) {
		all = append(all, fmt.Sprint(a))
	}
	return all
}

const shop = "config: { targets: [{ name: shop, namespace: shop, workload: deployment/shop }] }\n"

// Whatever is null or empty is as if absent, or an error that names it: never a
// panic of the template.
func TestANullAnywhereIsNoPanic_X56(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(dir, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var values object
	if err := yaml.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	var lines []string
	var walk func(m object, before, after string, path string)
	walk = func(m object, before, after, path string) {
		for k, v := range m {
			lines = append(lines, path+k+"\x00"+before+k+": null"+after)
			if inner, ok := v.(object); ok {
				walk(inner, before+k+": {", "}"+after, path+k+".")
			}
		}
	}
	walk(values, "", "", "")
	for _, path := range []string{"receivers", "receivers.slack", "receivers.pagerduty", "targets", "api", "prometheus",
		"mode", "alertmanager", "budget", "slos"} {
		keys := strings.Split("config."+path, ".")
		lines = append(lines, "config."+path+"\x00"+strings.Join(keys, ": {")+": "+strings.Repeat("}", len(keys)-1))
	}
	lines = append(lines, "config.receivers.slack.interaction\x00config: {receivers: {slack: {token_file: /t, "+
		"channel: c, interaction: null}}}")
	slices.Sort(lines)
	for _, l := range lines {
		path, doc, _ := strings.Cut(l, "\x00")
		// With everything that can be switched on, but for what the path is in.
		var all string
		for _, on := range []string{"serviceMonitor: {enabled: true}\n", "prometheusRule: {enabled: true}\n",
			"dashboards: {enabled: true}\n", "check: {enabled: true}\n", "web: {existingSecret: web}\n"} {
			if key, _, _ := strings.Cut(path, "."); !strings.HasPrefix(on, key+":") {
				all += on
			}
		}
		takesNull(t, path, all+doc+"\n")
	}
}

// takesNull renders values in which something is null.
func takesNull(t *testing.T, path, values string) {
	t.Helper()
	out, err := helm(t, values)
	if err != nil {
		last := path[strings.LastIndex(path, ".")+1:]
		if !strings.Contains(err.Error(), "values don't meet the specifications of the schema") ||
			!strings.Contains(err.Error(), last) {
			t.Errorf("%s: %v", path, err)
		}
		return
	}
	objects, err := decode(out)
	if err != nil || strings.Contains(out, "<nil>") || strings.Contains(out, "<no value>") {
		t.Errorf("%s: not valid: %v", path, err)
		return
	}
	// What is rendered is what the API server takes: nothing required is empty.
	c := container(t, objects)
	if image, _ := at(c, "image").(string); strings.HasSuffix(image, ":") || strings.HasPrefix(image, ":") {
		t.Errorf("%s: image %q", path, image)
	}
	for _, a := range args(c) {
		if strings.HasSuffix(a, "=") || strings.HasSuffix(a, ":") {
			t.Errorf("%s: argument %q", path, a)
		}
	}
}

func TestAnEmptyReceiverIsAsIfAbsent_X56(t *testing.T) {
	all := render(t, "config: {receivers: {slack: , pagerduty: }, targets: [{ name: shop, namespace: shop, "+
		"workload: deployment/shop }]}\nresources: null\n")
	if at(container(t, all), "resources") != nil {
		t.Error("resources are not left out")
	}
	if _, err := config.Parse("watchdog.yaml",
		[]byte(at(find(t, all, "ConfigMap", "wd-watchdog"), "data", "watchdog.yaml").(string))); err != nil {
		t.Error(err)
	}
}

func TestLabelsAreMergedAndSelectorsStay_X57(t *testing.T) {
	values := shop + `
commonLabels: { team: sre, app.kubernetes.io/instance: other, app.kubernetes.io/version: mine }
podLabels: { team: ops, app.kubernetes.io/name: other, tier: x }
serviceMonitor: { enabled: true, additionalLabels: { team: kps, app.kubernetes.io/name: other } }
prometheusRule: { enabled: true, additionalLabels: { team: kps } }
dashboards: { enabled: true, labels: { team: grafana } }
check: { enabled: true }
`
	all := render(t, values)
	d := find(t, all, "Deployment", "wd-watchdog")
	pod, selector := at(d, "spec", "template", "metadata", "labels").(object), at(d, "spec", "selector",
		"matchLabels").(object)
	for k, v := range selector {
		if pod[k] != v {
			t.Errorf("the pods' label %s is %v, their selector says %v", k, pod[k], v)
		}
	}
	if pod["team"] != "ops" || pod["tier"] != "x" {
		t.Errorf("pods: %v", pod)
	}
	for _, o := range all {
		l, _ := at(o, "metadata", "labels").(object)
		want := map[any]string{"ServiceMonitor": "kps", "PrometheusRule": "kps"}[o["kind"]]
		if name, _ := at(o, "metadata", "name").(string); strings.HasSuffix(name, "-dashboards") {
			want = "grafana"
		}
		if want == "" {
			want = "sre"
		}
		if l["team"] != want || l["app.kubernetes.io/instance"] != "wd" || l["app.kubernetes.io/version"] != "mine" {
			t.Errorf("%v %v: %v, want team %s", o["kind"], at(o, "metadata", "name"), l, want)
		}
	}
	check := at(find(t, all, "Job", "-check"), "spec", "template", "metadata", "labels").(object)
	if check["app.kubernetes.io/name"] == selector["app.kubernetes.io/name"] {
		t.Error("the Service selects the pod of the check")
	}
}

func TestTheDivisorIsGiven_X58(t *testing.T) {
	for _, e := range at(container(t, render(t, shop)), "env").([]any) {
		if r := at(e, "valueFrom", "resourceFieldRef"); r != nil && at(r, "divisor") != "0" {
			t.Errorf("%v", r)
		}
	}
}

func TestOffStaysOff_X55(t *testing.T) {
	all := render(t, `
config:
  targets: [{ name: shop, namespace: shop, workload: deployment/shop }]
  time_intervals: [{ name: nights, time_intervals: [{ times: [{ start_time: "01:00", end_time: "05:00" }] }] }]
  maintenance_windows: [{ name: w, during: nights, remediate: off }]
  receivers: { statuspage: { page_id: p, token_file: /t, component_id: c, publish: off } }
`)
	c, err := config.Parse("watchdog.yaml",
		[]byte(at(find(t, all, "ConfigMap", "wd-watchdog"), "data", "watchdog.yaml").(string)))
	if err != nil {
		t.Fatal(err)
	}
	if c.Receivers.Statuspage.Publish != "off" || c.MaintenanceWindows[0].Remediate != "off" {
		t.Errorf("publish %q, remediate %q", c.Receivers.Statuspage.Publish, c.MaintenanceWindows[0].Remediate)
	}
}

// OpenShift's restricted-v2 SCC refuses pods that ask for an id outside of the
// namespace's range; everything else that it wants is the chart's default.
func TestOpenShiftGivesTheIDs_X62(t *testing.T) {
	ids := []string{"runAsUser", "runAsGroup", "fsGroup"}
	for name, tc := range map[string]struct {
		values string
		args   []string
		want   bool // ids are asked for
	}{
		"another cluster": {"", nil, true},
		"OpenShift":       {"", []string{"--api-versions", "security.openshift.io/v1"}, false},
		"OpenShift, disabled": {"openshift: {adaptSecurityContext: disabled}\n",
			[]string{"--api-versions", "security.openshift.io/v1"}, true},
		"rendered elsewhere": {"openshift: {adaptSecurityContext: force}\n", nil, false},
		"three nulls, as it was ": {"podSecurityContext: {runAsUser: null, runAsGroup: null, fsGroup: null}\n", nil,
			false},
	} {
		t.Run(name, func(t *testing.T) {
			all := render(t, shop+tc.values+"check: {enabled: true}\n", tc.args...)
			for _, o := range []object{find(t, all, "Deployment", "wd-watchdog"), find(t, all, "Job", "-check")} {
				pod, c := at(o, "spec", "template", "spec", "securityContext").(object), at(o, "spec", "template",
					"spec", "containers", 0, "securityContext").(object)
				for _, id := range ids {
					if _, is := pod[id]; is != tc.want {
						t.Errorf("%v: %s: %v", o["kind"], id, pod[id])
					}
				}
				if pod["runAsNonRoot"] != true || at(pod, "seccompProfile", "type") != "RuntimeDefault" ||
					c["allowPrivilegeEscalation"] != false || at(c, "capabilities", "drop", 0) != "ALL" {
					t.Errorf("%v: not restricted: %v %v", o["kind"], pod, c)
				}
			}
		})
	}
}

// With passwords or TLS on the pages the kubelet asks a port that has neither, and
// what others are told follows.
func TestProbesAndScrapesWithAWebConfiguration_X53(t *testing.T) {
	plain := container(t, render(t, shop))
	if at(plain, "readinessProbe", "httpGet", "port") != "metrics" ||
		slices.ContainsFunc(args(plain), func(a string) bool { return strings.HasPrefix(a, "--web.config") }) {
		t.Errorf("without a web configuration: %v", plain)
	}
	for name, tc := range map[string]struct{ values, metrics, url string }{
		"neither (S11)": {"web: {}\n", "--web.metrics-listen-address=:9096", "--advertise-url=http://$(POD_IP):9095"},
		"passwords": {"web: { existingSecret: web }\n", "--web.metrics-listen-address=:9096",
			"--advertise-url=http://$(POD_IP):9095"},
		"TLS": {"web: { existingSecret: web, tls: true, metricsPort: 9999 }\nlistenAddress: " +
			"\"$(POD_IP):9443\"\n", "--web.metrics-listen-address=$(POD_IP):9999",
			"--advertise-url=https://$(POD_IP):9443"},
	} {
		t.Run(name, func(t *testing.T) {
			all := render(t, shop+tc.values+"serviceMonitor: { enabled: true }\n")
			c := container(t, all)
			for _, want := range []string{tc.metrics, tc.url} {
				if !slices.Contains(args(c), want) {
					t.Errorf("no %s in %v", want, args(c))
				}
			}
			if got := slices.Contains(args(c),
				"--web.config.file=/etc/watchdog/web/web-config.yml"); got != strings.Contains(tc.values,
				"existingSecret") {
				t.Errorf("the web configuration is read: %v", got)
			}
			for probe, path := range map[string]string{"readinessProbe": "/-/ready", "livenessProbe": "/-/healthy"} {
				if at(c, probe, "httpGet", "port") != "metrics" || at(c, probe, "httpGet", "path") != path {
					t.Errorf("%s: %v", probe, at(c, probe))
				}
			}
			e := at(find(t, all, "ServiceMonitor", "wd-watchdog"), "spec", "endpoints", 0)
			if at(e, "port") != "metrics" || at(e, "scheme") != nil ||
				at(find(t, all, "Service", "wd-watchdog"), "spec", "ports", 1, "targetPort") != "metrics" {
				t.Errorf("scraped by %v", e)
			}
		})
	}
	c := container(t, render(t, shop+"readinessProbe: { httpGet: { port: 8443, scheme: HTTPS } }\n"))
	if at(c, "readinessProbe", "httpGet", "port") != 8443 || at(c, "readinessProbe", "httpGet", "path") != "/-/ready" ||
		at(c, "readinessProbe", "periodSeconds") != 5 {
		t.Errorf("a probe that is set: %v", at(c, "readinessProbe"))
	}
}

// Closed by default: its own replicas, Alertmanager and Prometheus come in, and what the
// configuration names is where it goes.
func TestTheNetworkLetsInAndOutWhatIsNeeded_S04_SEC14(t *testing.T) {
	const named = `
config:
  targets:
    - { name: shop, namespace: shop, workload: deployment/shop, probes: [{ http: { name: front, url: "http://shop.front/" } },
        { http: { name: outside, url: "http://status.example.com:8080/x" } }] }
  prometheus: { url: "http://prometheus-operated.monitoring.svc:9090" }
  receivers:
    slack: { token_file: /t, channel: "#c" }
    webhooks: [{ name: v6, url: "https://[fd00::5]:8443/x" }, { name: here, url: "http://bridge:5000/" },
      { name: plain, url: "http://hooks.example.net/" }]
    emails: [{ name: m, smarthost: "mail.example.com:587", from: a@example.com, to: [b@example.com] }]
`
	spec := at(find(t, render(t, named), "NetworkPolicy", "wd-watchdog"), "spec")
	in, out := at(spec, "ingress").([]any), at(spec, "egress").([]any)
	if len(in) != 2 || at(in[0], "ports", 0, "port") != "http" || at(in[1], "ports", 0, "port") != "metrics" {
		t.Fatalf("lets in %v", in)
	}
	for _, from := range []any{at(in[0], "from"), at(in[1], "from")} {
		if from == nil || len(from.([]any)) == 0 {
			t.Errorf("everybody comes in: %v", in)
		}
	}
	if at(in[0], "from", 0, "podSelector", "matchLabels", "app.kubernetes.io/instance") != "wd" {
		t.Errorf("its own replicas do not: %v", in[0])
	}
	var namespaces, outside []string
	for _, rule := range out {
		for _, v := range list(at(rule, "to", 0, "namespaceSelector", "matchExpressions", 0, "values")) {
			namespaces = append(namespaces, fmt.Sprint(v))
		}
		if at(rule, "to", 0, "ipBlock") != nil {
			if at(rule, "to", 0, "ipBlock", "except", 0) != "169.254.0.0/16" {
				t.Errorf("metadata services are reached: %v", rule)
			}
			for _, p := range list(at(rule, "ports")) {
				outside = append(outside, fmt.Sprint(at(p, "port")))
			}
		}
	}
	slices.Sort(outside)
	if want := []string{"front", "monitoring", "ops", "shop"}; !slices.Equal(namespaces, want) {
		t.Errorf("namespaces %v, want %v", namespaces, want)
	}
	// 80 is hooks.example.net's, and shop.front's, which might be a host outside.
	if want := []string{"587", "80", "8080", "8443"}; !slices.Equal(outside, want) {
		t.Errorf("ports outside %v, want %v", outside, want)
	}
	if got := at(find(t, render(t, named+"networkPolicy: { restrictEgress: false, metricsFrom: [] }\n"),
		"NetworkPolicy", "wd-watchdog"), "spec"); at(got, "egress") != nil || len(list(at(got, "policyTypes"))) != 1 ||
		len(list(at(got, "ingress"))) != 1 {
		t.Errorf("open ways out, no scrapes: %v", got)
	}
	if slices.ContainsFunc(render(t, shop+"networkPolicy: { enabled: false }\n"),
		func(o object) bool { return o["kind"] == "NetworkPolicy" }) {
		t.Error("there although it is off")
	}
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// Whose a reader's token is can be asked by default, and left out where no right may be
// cluster-wide.
func TestReadersAreAskedForTheirToken_S04(t *testing.T) {
	asks := func(values string) bool {
		return slices.ContainsFunc(render(t, shop+values), func(o object) bool {
			return o["kind"] == "ClusterRole" && slices.ContainsFunc(list(o["rules"]),
				func(r any) bool { return at(r, "resources", 0) == "tokenreviews" })
		})
	}
	if !asks("") || asks("rbac: { tokenReviews: false }\n") {
		t.Errorf("tokenreviews: by default %t, switched off %t", asks(""), asks("rbac: { tokenReviews: false }\n"))
	}
	if rules := list(at(find(t, render(t, shop), "Role", "wd-watchdog-reader"), "rules")); len(rules) != 1 ||
		!slices.Contains(list(at(rules[0], "verbs")), any("get")) {
		t.Errorf("a reader may %v", rules)
	}
}

// The token is the one that the kubelet projects and renews each hour: the chart makes none
// that lives longer, and mounts none into the pod of the check, which asks nobody.
func TestTheTokenIsProjected_SEC12(t *testing.T) {
	all := render(t, "check: { enabled: true }\nconfig: { targets: [] }\n")
	if names := names(all, "Secret"); len(names) > 0 {
		t.Errorf("the chart makes Secrets: %q; one of the type kubernetes.io/service-account-token never expires",
			names)
	}
	if at(find(t, all, "ServiceAccount", "watchdog"), "automountServiceAccountToken") != false {
		t.Error("other pods of the account get its token, too")
	}
	if at(find(t, all, "Deployment", ""), "spec", "template", "spec", "automountServiceAccountToken") != true {
		t.Error("the pod does not get the projected token")
	}
	for _, kind := range []string{"Deployment", "Job"} {
		for _, volume := range list(at(find(t, all, kind, ""), "spec", "template", "spec", "volumes")) {
			for _, source := range list(at(volume, "projected", "sources")) {
				if at(source, "serviceAccountToken") != nil {
					t.Errorf("%s asks for a token of its own: %v", kind, source)
				}
			}
		}
	}
	if at(find(t, all, "Job", ""), "spec", "template", "spec", "automountServiceAccountToken") != false {
		t.Error("the check gets a token")
	}
}

// The lease carries the release's name, and the name of the Deployment is told.
func TestTheInstallationIsNamed_X52(t *testing.T) {
	all := render(t, shop)
	if !slices.Contains(args(container(t, all)), "--installation=wd-watchdog") {
		t.Errorf("%v", args(container(t, all)))
	}
	rules := at(find(t, all, "Role", "wd-watchdog"), "rules").([]any)
	if !slices.ContainsFunc(rules, func(r any) bool {
		return at(r, "resourceNames", 0) == "wd-watchdog" && at(r, "resources", 0) == "deployments" &&
			len(at(r, "verbs").([]any)) == 1
	}) {
		t.Errorf("it may not read its own Deployment: %v", rules)
	}
}

// Two listeners on one port would end the pods at their start, again and again.
func TestTheHealthPortIsNotThatOfThePages_S11(t *testing.T) {
	if _, err := helm(t, "listenAddress: \"$(POD_IP):9096\"\n"); err == nil ||
		!strings.Contains(err.Error(), "web.metricsPort is 9096") {
		t.Errorf("%v", err)
	}
	if _, err := helm(t, "listenAddress: \":9096\"\nweb: { metricsPort: 9097 }\n"); err != nil {
		t.Error(err)
	}
}

// A configuration of the wrong shape ends the install, and names the place.
func TestTheChartRefusesAConfigurationOfTheWrongShape_A5(t *testing.T) {
	for values, want := range map[string]string{
		"config: { mode: yolo }": "/config/mode",
		"config: { targets: [{ name: a, namespace: n, workload: d, mood: x }] }":  "/config/targets/0",
		"config: { targets: [{ name: a }] }":                                      "/config/targets/0",
		"config: { targets: {} }":                                                 "/config/targets",
		"config: { thresholds: [{ metric: cpu, severity: high }] }":               "/config/thresholds/0",
		"config: { receivers: { slack: { token: x } } }":                          "/config/receivers/slack",
		"config: { evaluation_interval: 15 }":                                     "/config/evaluation_interval",
		"config: { promethius: { url: x } }":                                      "/config",
		"config: { receivers: { statuspage: { page_id: 123, token_file: /t } } }": "/config/receivers/statuspage",
	} {
		_, err := helm(t, values+"\n")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", values, err, want)
		}
	}
}

// What watchdog takes, the chart takes: every example of the project is a value.
func TestTheChartTakesEveryExample_A5(t *testing.T) {
	files, err := filepath.Glob("../../configs/*.yaml")
	if err != nil || len(files) < 6 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := helm(t, "config:\n  "+strings.ReplaceAll(string(text), "\n", "\n  ")+"\n"); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
}

// The check runs before anything is changed, over the files that would be mounted.
func TestTheCheckRunsBeforeTheInstall_A5(t *testing.T) {
	all := render(t, shop+"check: { enabled: true, ignore: [no-pager] }\nextraFiles: { rules.yaml: \"groups: []\" "+
		"}\nreceivers: { slack: { existingSecret: s } }\n")
	job, files := find(t, all, "Job", "-check"), find(t, all, "ConfigMap", "-check")
	for _, o := range []object{job, files} {
		if at(o, "metadata", "annotations", "helm.sh/hook") != "pre-install,pre-upgrade" {
			t.Errorf("%v: %v", o["kind"], at(o, "metadata", "annotations"))
		}
	}
	if at(files, "data", "rules.yaml") == nil || at(files, "data",
		"watchdog.yaml") != at(find(t, all, "ConfigMap", "wd-watchdog"), "data", "watchdog.yaml") {
		t.Error("it checks other files than those that are mounted")
	}
	c := at(job, "spec", "template", "spec", "containers", 0)
	if got := strings.Join(args(c), " "); got != "check --strict --ignore=no-pager /etc/watchdog/watchdog.yaml" {
		t.Errorf("it runs %s", got)
	}
	if at(job, "spec", "backoffLimit") != 0 || at(job, "spec", "template", "spec",
		"automountServiceAccountToken") != false {
		t.Errorf("%v", at(job, "spec"))
	}
	if out, err := helm(t, shop); err != nil || strings.Contains(out, "kind: Job") {
		t.Errorf("it is not off by default: %v", err)
	}
}

// A Secret that is made later does not keep the pods from starting.
func TestSecretsAreOptional(t *testing.T) {
	all := render(t, shop+"receivers: { slack: { existingSecret: later }, teams: { existingSecret: teams } }\n")
	n := 0
	for _, v := range at(find(t, all, "Deployment", "wd-watchdog"), "spec", "template", "spec", "volumes").([]any) {
		if s := at(v, "secret"); s != nil {
			n++
			if at(s, "optional") != true {
				t.Errorf("%v", v)
			}
		}
	}
	if n != 2 {
		t.Errorf("%d secrets", n)
	}
}

package config

import (
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/incident"
)

// Config is the whole file. The zero value of every field is safe: an empty
// file observes nothing and acts on nothing.
type Config struct {
	// Mode is the upper limit for every target and every rule: observe (default), suggest, approve or auto.
	Mode incident.Mode `yaml:"mode,omitempty"`
	// Prometheus is a Prometheus-compatible server. Without it only rules with source local load.
	Prometheus *Prometheus `yaml:"prometheus,omitempty"`
	// Alertmanager configures who may post alerts to /webhook/alertmanager, and whose silences apply.
	Alertmanager *Alertmanager `yaml:"alertmanager,omitempty"`
	// Targets are the workloads to watch.
	Targets []Target `yaml:"targets,omitempty"`
	// Thresholds are the rules. Default: the shipped rules, from the runbook's table of metrics.
	Thresholds []Threshold `yaml:"thresholds,omitempty"`
	// Shipped says that the file names no thresholds.
	Shipped bool `yaml:"-"`
	// RuleFiles are Prometheus rule files or PrometheusRule manifests, used as they are: paths or
	// patterns, relative to this file. The embedded engine evaluates them over the probes' samples.
	RuleFiles []string `yaml:"rule_files,omitempty"`
	// Routes configure the handling of alerts of rule files and of Alertmanager. The first route whose matchers all
	// match applies.
	// An alert without a route, or whose route has no ladder, only leads to notifications.
	Routes []Route `yaml:"routes,omitempty"`
	// InhibitRules work as in Alertmanager: while an alert that matches source_matchers fires, alerts that match
	// target_matchers
	// and have the same values for the labels in equal cause no notifications.
	InhibitRules []InhibitRule `yaml:"inhibit_rules,omitempty"`
	// SLOs are service level objectives: burn-rate alerts, error budgets and `watchdog sla report`.
	SLOs []SLO `yaml:"slos,omitempty"`
	// SelfReport compares the values that applications report in /metrics/sla with the values that watchdog measures.
	SelfReport *SelfReport `yaml:"self_report,omitempty"`
	// EvaluationInterval is how often thresholds are evaluated, and groups of rule files without an interval. Default
	// 15s.
	EvaluationInterval model.Duration `yaml:"evaluation_interval,omitempty"`
	// Response configures the time to acknowledge an incident, and escalation. Defaults, from the runbook: P0 15m, P1
	// 1h,
	// P2 4h, P3 24h during weekdays.
	Response []Response `yaml:"response,omitempty"`
	// TimeIntervals are named times, as in Alertmanager. The interval weekdays (Monday to Friday in UTC) is predefined.
	TimeIntervals []NamedTime `yaml:"time_intervals,omitempty"`
	// MaintenanceWindows are recurring maintenance windows. A one-off window is an object of the cluster:
	// `watchdog maintenance start`.
	MaintenanceWindows []MaintenanceWindow `yaml:"maintenance_windows,omitempty"`
	// Receivers are where notifications go.
	Receivers Receivers `yaml:"receivers,omitempty"`
	// Heartbeat is sent to an external dead man's switch while watchdog can evaluate, act and page: see
	// docs/self-watch.md.
	Heartbeat *Heartbeat `yaml:"heartbeat,omitempty"`
	// Canary is the synthetic alert with which watchdog tests itself.
	Canary Canary `yaml:"canary,omitempty"`
	// API configures the HTTP API.
	API *API `yaml:"api,omitempty"`
	// Templates are files of Go templates as in Alertmanager: paths or patterns, relative to this file. Every template
	// of a
	// receiver can use their definitions.
	Templates []string `yaml:"templates,omitempty"`
	// Contacts are the people to call; they are part of every P0 and P1 notification.
	Contacts []Contact `yaml:"contacts,omitempty"`
	// Links are part of every P0 and P1 notification.
	Links []Link `yaml:"links,omitempty"`
	// Runbook is the runbook of the team.
	Runbook *Runbook `yaml:"runbook,omitempty"`
	// Budget limits the number of ops in a sliding window.
	Budget Budget `yaml:"budget,omitempty"`
	// Guards configures the other guards.
	Guards Guards `yaml:"guards,omitempty"`
	// JobTemplates are the Job manifests that the job action may run, by name.
	JobTemplates map[string]JobTemplate `yaml:"job_templates,omitempty"`

	// File is the path the configuration was read from; Hash is the SHA-256 in hex of
	// its bytes and those of all files that it names.
	File string `yaml:"-"`
	Hash string `yaml:"-"`
	// TemplateTexts are the files of templates that were found, in the order of the file.
	TemplateTexts []RuleText `yaml:"-"`
	// RuleTexts are the rule files that were found, in the order of the file.
	RuleTexts []RuleText `yaml:"-"`

	warnings []Problem
	quoting  bool          // the warnings quote the file
	secrets  func() *hider // what the file has that must not be shown; see Hide
}

// Prometheus configures the connection to a Prometheus-compatible server.
type Prometheus struct {
	URL     string         `yaml:"url"`               // base URL, as for a Grafana data source
	Timeout model.Duration `yaml:"timeout,omitempty"` // timeout of one query; default 10s
	// file with a bearer token, read at each use: short for authorization
	BearerTokenFile string `yaml:"bearer_token_file,omitempty"`
	// file with the certificate authorities to trust instead of the system's: short for tls_config.ca_file
	CAFile    string     `yaml:"ca_file,omitempty"`
	BasicAuth *BasicAuth `yaml:"basic_auth,omitempty"` // user name and password
	// the Authorization header; at most one of this, basic_auth and bearer_token_file
	Authorization *Authorization `yaml:"authorization,omitempty"`
	// HTTPHeaders are further request headers by name, such as the tenant of Mimir: X-Scope-OrgID.
	HTTPHeaders map[string]HTTPHeader `yaml:"http_headers,omitempty"`
	TLSConfig   *TLSConfig            `yaml:"tls_config,omitempty"` // certificate authorities and client certificate
	// Staleness is the maximum age of the newest sample. Default 5m, the default of Prometheus' --query.lookback-delta.
	Staleness model.Duration `yaml:"staleness,omitempty"`
	// RuleFiles are rule files whose alerts watchdog evaluates with queries to this server, usually the server's own
	// files.
	// watchdog ignores their recording rules.
	RuleFiles []string `yaml:"rule_files,omitempty"`
}

// BasicAuth is basic authentication, with the names of Prometheus' http_config.
type BasicAuth struct {
	Username     string `yaml:"username,omitempty"`      // the user name; exactly one of username and username_file
	UsernameFile string `yaml:"username_file,omitempty"` // file with the user name, read at each use
	PasswordFile string `yaml:"password_file"`           // file with the password, read at each use
}

// Authorization is the Authorization header, with the names of Prometheus' http_config.
type Authorization struct {
	Type            string `yaml:"type,omitempty"`   // the scheme; default Bearer
	CredentialsFile string `yaml:"credentials_file"` // file with the credentials, read at each use
}

// HTTPHeader is one request header. It is sent once per value and per file.
type HTTPHeader struct {
	Values []string `yaml:"values,omitempty"` // values that are not secret
	Files  []string `yaml:"files,omitempty"`  // files with a value each, read at each use
}

// TLSConfig configures TLS, with the names of Prometheus' http_config.
type TLSConfig struct {
	// file with the certificate authorities to trust instead of the system's, read at each use
	CAFile string `yaml:"ca_file,omitempty"`
	// file with a client certificate, read for each connection
	CertFile string `yaml:"cert_file,omitempty"`
	KeyFile  string `yaml:"key_file,omitempty"` // file with the key of cert_file
	// the name that the server's certificate must have; default the host of the URL
	ServerName         string `yaml:"server_name,omitempty"`
	InsecureSkipVerify bool   `yaml:"insecure_skip_verify,omitempty"` // accept any certificate
}

// Alertmanager configures the webhook for alerts of Alertmanager and Grafana. Such an alert opens an incident and pages
// according to its
// route. watchdog takes actions only if its own data confirms the alert.
type Alertmanager struct {
	// Senders are the systems that may post alerts, each with a bearer token. Users and client certificates of the web
	// configuration may post, too.
	Senders []Sender `yaml:"senders,omitempty"`
	// Silences are read from Alertmanager: see docs/silences.md.
	Silences *Silences `yaml:"silences,omitempty"`
}

// Silences is the Alertmanager whose silences apply. While all firing alerts of a target are silenced, nobody is
// notified of its incident.
// When the silence ends and an alert still fires, people are notified.
type Silences struct {
	// URLs are the base URLs of the peers of one Alertmanager cluster, at most 10. The first that responds is used.
	URLs            []string       `yaml:"urls"`
	Interval        model.Duration `yaml:"interval,omitempty"`          // refresh interval; default 30s
	Timeout         model.Duration `yaml:"timeout,omitempty"`           // timeout of one request; default 5s
	BearerTokenFile string         `yaml:"bearer_token_file,omitempty"` // file with a bearer token, read at each use
	Username        string         `yaml:"username,omitempty"`          // for basic authentication
	// file with the password of username, read at each use
	PasswordFile string `yaml:"password_file,omitempty"`
	// file with the certificate authorities to trust instead of the system's
	CAFile   string `yaml:"ca_file,omitempty"`
	CertFile string `yaml:"cert_file,omitempty"` // file with a client certificate
	KeyFile  string `yaml:"key_file,omitempty"`  // file with the key of cert_file
	// Keep is how long the last known silences apply while no peer responds; after that, nothing is silenced. Default
	// 10m.
	Keep model.Duration `yaml:"keep,omitempty"`
	// SilencedAlerts is what watchdog may do for a silenced alert: observe, or remediate as if it were not silenced.
	// Default observe.
	SilencedAlerts string `yaml:"silenced_alerts,omitempty"`
}

// Sender is one system that may post alerts.
type Sender struct {
	Name      string `yaml:"name"`       // shown in incidents and in the audit log
	TokenFile string `yaml:"token_file"` // file with the bearer token, read at each use
}

// Route configures the handling of alerts with certain labels.
type Route struct {
	// Matchers are on the alert's labels, written as in Alertmanager: severity="critical", team=~"a|b", env!="dev". One
	// item may hold several, separated by commas.
	// All must match; without one, every alert does.
	Matchers []string `yaml:"matchers,omitempty"`
	// Severity is how fast a person must answer. Default: the alert's label severity, which may be P0 to P3, critical,
	// page or emergency
	// (P1), warning (P2), info or notice (P3); P2 if it says nothing known. An alert with severity none is dropped
	// unless its route gives a severity.
	Severity incident.Severity `yaml:"severity,omitempty"`
	// Mode limits the actions for these alerts. Default observe.
	Mode incident.Mode `yaml:"mode,omitempty"`
	// actions, mildest first; page must be the last; without a ladder, the alert only leads to notifications
	Ladder []Rung `yaml:"ladder,omitempty"`
	// Drop ignores these alerts: they open no incident. They still inhibit other alerts.
	Drop bool `yaml:"drop,omitempty"`
	// SingleSource waives the second source of evidence that restart and
	// rollback require (INV-11). The text is the reason; it is recorded in the audit log.
	SingleSource string `yaml:"single_source,omitempty"`
	open         bool   // the file gives no mode
	matchers     labels.Matchers
}

// InhibitRule mutes alerts while another one fires, as in Alertmanager. It applies to alerts of rule files,
// Alertmanager and thresholds.
type InhibitRule struct {
	// on the labels of the alert that fires, written as matchers of a route
	SourceMatchers []string `yaml:"source_matchers"`
	TargetMatchers []string `yaml:"target_matchers"` // on the labels of the muted alerts
	// labels that must be equal in both; a label missing in both counts as equal
	Equal          []string `yaml:"equal,omitempty"`
	source, target labels.Matchers
}

// SLO is a service level objective. It raises the alert ErrorBudgetBurn, with the labels slo, target, window and
// severity:
// P1 when the budget burns 14.4 times too fast over 1h and 5m, P2 for 6 times over 6h and 30m, P3 for once over 3d and
// 6h.
// Routes configure its handling.
type SLO struct {
	Name string `yaml:"name"` // unique; the label slo
	// Metric is the indicator: availability (share of time in which every probe is healthy), latency (share of time in
	// which the
	// application's 95th percentile is below max) or errors (share of requests that succeed). Alternatively, set bad
	// and all.
	Metric    string         `yaml:"metric,omitempty"`
	Objective Quantity       `yaml:"objective"`         // the share that must be good: 99.95%
	Max       *Quantity      `yaml:"max,omitempty"`     // for latency: the bound, 500ms
	Window    model.Duration `yaml:"window,omitempty"`  // the window of the objective; default 30d
	Targets   []string       `yaml:"targets,omitempty"` // limits the objective to the named targets; empty: all
	// PromQL for the bad events of the last minute, one value per label target
	Bad string `yaml:"bad,omitempty"`
	// PromQL for all events of the last minute, one value per label target
	All string `yaml:"all,omitempty"`
	// Source of bad and all: local (default) or prometheus.
	Source string `yaml:"source,omitempty"`
	// MinEvents is how many events the short window of an alert must hold, so that a handful of requests burns no
	// budget. For errors, default 100.
	MinEvents float64 `yaml:"min_events,omitempty"`
}

// SelfReport raises the alert SelfReportDiffers (P3), with the label what: uptime, errors or latency.
type SelfReport struct {
	Tolerance Quantity `yaml:"tolerance,omitempty"` // maximum difference between the two values; default 5%
}

// Target is one workload and its probes.
type Target struct {
	// Name is the value of the label `target` on all samples of the target.
	Name string `yaml:"name"`
	// Mode limits the actions on this target. Default observe.
	Mode incident.Mode `yaml:"mode,omitempty"`
	// Workload is kind/name, for example deployment/agent-system. watchdog takes actions on Deployments only.
	Workload  string `yaml:"workload"`
	Namespace string `yaml:"namespace"`         // the namespace of the workload
	Service   string `yaml:"service,omitempty"` // the Service whose ready endpoints are counted
	// probes over the network; the state of the workload in Kubernetes is always watched
	Probes []Probe `yaml:"probes,omitempty"`
	open   bool    // the file gives no mode
}

// Probe is one probe. Exactly one kind must be set:
//
//   - health: { url: "http://…/health", interval: 15s }
type Probe struct {
	Health *HealthProbe `yaml:"health,omitempty"` // the health document of runbook 2.1
	SLA    *SLAProbe    `yaml:"sla,omitempty"`    // the application's own service level, /metrics/sla
	Agents *AgentsProbe `yaml:"agents,omitempty"` // the agents' status, /api/v2/agents/status
	HTTP   *HTTPProbe   `yaml:"http,omitempty"`   // any other request
	TCP    *TCPProbe    `yaml:"tcp,omitempty"`    // a connection
	Redis  *RedisProbe  `yaml:"redis,omitempty"`  // a Redis server: PING, memory, clients
	// a PostgreSQL server: version, connections
	Postgres *PostgresProbe `yaml:"postgres,omitempty"`
	TLS      *TLSProbe      `yaml:"tls,omitempty"` // the certificates that a server sends
	DNS      *DNSProbe      `yaml:"dns,omitempty"` // a name that must resolve
}

// Look has the options of all probes.
type Look struct {
	// Name is the value of the label `probe`. Default: the kind. Unique within a target.
	Name     string         `yaml:"name,omitempty"`
	Interval model.Duration `yaml:"interval,omitempty"` // interval of the probe; default 15s; sla 30s
	Timeout  model.Duration `yaml:"timeout,omitempty"`  // timeout of one attempt, at most interval; default 5s
	// number of failures in the window that make the probe bad; default 3
	Failures int `yaml:"failures,omitempty"`
	Window   int `yaml:"window,omitempty"` // number of most recent attempts that count; default 5
	// number of consecutive successes that make the probe good again; default 3
	Successes int `yaml:"successes,omitempty"`
}

// HTTPClient has the options of all HTTP probes. Redirects are not followed.
type HTTPClient struct {
	// http or https URL, without credentials
	URL string `yaml:"url"`
	// file with the certificate authorities to trust instead of the system's
	CAFile             string            `yaml:"ca_file,omitempty"`
	InsecureSkipVerify bool              `yaml:"insecure_skip_verify,omitempty"` // accept any certificate
	Headers            map[string]string `yaml:"headers,omitempty"`              // further request headers
	// file with a bearer token, read at each attempt
	BearerTokenFile string `yaml:"bearer_token_file,omitempty"`
	// ReuseConnections keeps the connection of a GET or HEAD request for the next attempt, which costs less CPU. By
	// default each attempt connects anew, as a new user does: it resolves the name, may reach any endpoint of the
	// Service, and sees the certificate of today.
	ReuseConnections bool `yaml:"reuse_connections,omitempty"`
}

// HealthProbe reads the health document of runbook 2.1. A response has at most 100 checks, and the names of checks and
// versions make at most 500
// series within the retention; with more names, the result is unknown.
type HealthProbe struct {
	Look       `yaml:",inline"`
	HTTPClient `yaml:",inline"`
	// MaxSkew is the maximum difference between the document's timestamp and now; above it, the document is stale.
	// Default 1m.
	MaxSkew model.Duration `yaml:"max_skew,omitempty"`
	// Version is the expected release; empty: any.
	Version string `yaml:"version,omitempty"`
}

// SLAProbe reads /metrics/sla, in which the application reports its own service level.
type SLAProbe struct {
	Look       `yaml:",inline"`
	HTTPClient `yaml:",inline"`
}

// AgentsProbe reads /api/v2/agents/status.
type AgentsProbe struct {
	Look       `yaml:",inline"`
	HTTPClient `yaml:",inline"`
}

// HTTPProbe is a plain request.
type HTTPProbe struct {
	Look       `yaml:",inline"`
	HTTPClient `yaml:",inline"`
	Method     string `yaml:"method,omitempty"` // GET, HEAD, OPTIONS or POST; default GET
	// Statuses are the acceptable status codes. Default: any 2xx. An external API
	// without a key may declare [200, 401]: reachable (runbook map, defect 8).
	Statuses []int `yaml:"statuses,omitempty"`
	// MaxDuration is the maximum response time; default: the timeout.
	MaxDuration model.Duration `yaml:"max_duration,omitempty"`
	// JSON is what the response must say; all must hold.
	JSON []JSONExpectation `yaml:"json,omitempty"`
}

// JSONExpectation is what one place of a JSON response must say. Another value is bad; a response that is not JSON, or
// has nothing there, is unknown. Set equals or matches.
type JSONExpectation struct {
	// Path is a JSONPath as kubectl has it, for example `{.checks.database}`. All values it finds count.
	Path string `yaml:"path"`
	// Equals is the expected value: a text, or a number, true, false or null as JSON writes it.
	Equals *string `yaml:"equals,omitempty"`
	// Matches is a regular expression (RE2) for the whole value.
	Matches string `yaml:"matches,omitempty"`
}

// TCPProbe opens a connection.
type TCPProbe struct {
	Look    `yaml:",inline"`
	Address string `yaml:"address"` // host:port
}

// TLSClient has the TLS options of the probes that ask a server other than HTTP.
type TLSClient struct {
	// TLS is verify (default), or none: plain text, which everybody on the network can read.
	TLS string `yaml:"tls,omitempty"`
	// file with the certificate authorities to trust instead of the system's
	CAFile     string `yaml:"ca_file,omitempty"`
	ServerName string `yaml:"server_name,omitempty"` // name in the certificate; default: the host in address
	// accept any certificate
	InsecureSkipVerify bool `yaml:"insecure_skip_verify,omitempty"`
}

// RedisProbe sends PING and INFO to a Redis server, and nothing else.
type RedisProbe struct {
	Look      `yaml:",inline"`
	TLSClient `yaml:",inline"`
	Address   string `yaml:"address"`            // host:port
	Username  string `yaml:"username,omitempty"` // user of the server's ACL; default: the default user
	// file with the password, read at each attempt; `tls: none` sends it in plain text
	PasswordFile string `yaml:"password_file,omitempty"`
}

// PostgresProbe logs in to a PostgreSQL server, reads its version and the number of connections in a read-only
// transaction, and logs out. The user needs no rights besides CONNECT.
type PostgresProbe struct {
	Look      `yaml:",inline"`
	TLSClient `yaml:",inline"`
	Address   string `yaml:"address"`            // host:port
	Username  string `yaml:"username"`           // role
	Database  string `yaml:"database,omitempty"` // default postgres
	// file with the password, read at each attempt; with `tls: none` it is never sent as plain text
	PasswordFile string `yaml:"password_file"`
}

// TLSProbe connects, makes the TLS handshake, and checks the certificates: name, chain and dates.
type TLSProbe struct {
	Look    `yaml:",inline"`
	Address string `yaml:"address"` // host:port
	// file with the certificate authorities to trust instead of the system's
	CAFile     string `yaml:"ca_file,omitempty"`
	ServerName string `yaml:"server_name,omitempty"` // name in the certificate; default: the host in address
}

// DNSProbe resolves a name, as every program in the pod does: /etc/hosts and the search list of /etc/resolv.conf count.
type DNSProbe struct {
	Look      `yaml:",inline"`
	QueryName string `yaml:"query_name"`           // name to resolve; with a final dot, without the search list
	QueryType string `yaml:"query_type,omitempty"` // A, AAAA, CNAME, SRV or TXT; default A
	// host:port of the name server to ask; default: those of /etc/resolv.conf
	Server string `yaml:"server,omitempty"`
	// Expect are answers that must be there: an address, a name, `priority weight port name` or a text. Default: any
	// answer will do.
	Expect []string `yaml:"expect,omitempty"`
}

// Threshold is one rule. Metric names a row of the built-in table, or Expr
// gives a PromQL expression whose value is compared, one series per `target`.
type Threshold struct {
	// Name is the rule's name; default the metric. Unique.
	Name   string `yaml:"name,omitempty"`
	Metric string `yaml:"metric,omitempty"` // a metric of the shipped rules; unset options keep the shipped values
	// PromQL with one value per label target, instead of a metric's own expression
	Expr string `yaml:"expr,omitempty"`
	// Source is local (the embedded engine over the probes' samples, default) or prometheus.
	Source string `yaml:"source,omitempty"`
	// Targets limits the rule to the named targets; empty: all.
	Targets []string `yaml:"targets,omitempty"`
	// the alert fires above this value: 500ms, 0.1%, 80%, 2; exactly one of above and below
	Above *Quantity `yaml:"above,omitempty"`
	Below *Quantity `yaml:"below,omitempty"` // the alert fires below this value
	// with above: the alert clears below this value; default: the value of above
	ClearBelow *Quantity `yaml:"clear_below,omitempty"`
	// with below: the alert clears above this value; default: the value of below
	ClearAbove *Quantity      `yaml:"clear_above,omitempty"`
	For        model.Duration `yaml:"for"`                 // how long the condition must hold
	ClearFor   model.Duration `yaml:"clear_for,omitempty"` // how long the condition must be clear
	// Window is the range of the built-in expression ($window in expr). Default 5m.
	Window model.Duration `yaml:"window,omitempty"`
	// minimum requests per second; below, the verdict is NO_DATA
	MinRate float64 `yaml:"min_rate,omitempty"`
	// minimum requests in the window; below, the verdict is NO_DATA
	MinRequests float64           `yaml:"min_requests,omitempty"`
	Severity    incident.Severity `yaml:"severity"` // how fast a person must answer
	// Mode limits the actions for this rule. Default observe.
	Mode   incident.Mode `yaml:"mode,omitempty"`
	Ladder []Rung        `yaml:"ladder"` // actions, mildest first; page must be the last
	// SingleSource waives the second source of evidence that restart and
	// rollback require (INV-11). The text is the reason; it is recorded in the audit log.
	SingleSource string `yaml:"single_source,omitempty"`
	open         bool   // the file gives no mode
	implicit     bool   // the file does not have it
}

// Rung is one step of a ladder: a bare word (capture, restart, page) or one
// action with options: {scale: {by: 25%, max: 20, lease: 2h}}.
type Rung struct {
	// Action is set by the decoder: capture, scale, restart, rollback, job, page.
	Action  incident.Action `yaml:"-"`
	Options RungOptions     `yaml:"-"`
}

// RungOptions are the options of a rung; which apply depends on its action.
type RungOptions struct {
	// minimum time between the end of the action's rollout and the verification; default 30s
	Settle model.Duration `yaml:"settle,omitempty"`
	// maximum time between the end of the action's rollout and the verdict; default 10m: twice the rule's window or the
	// longest range of its expression, at least 5m
	Verify model.Duration `yaml:"verify,omitempty"`
	open   bool           // the file gives no verify
	// Attempts is the maximum number of attempts in one incident. Default 1.
	Attempts int           `yaml:"attempts,omitempty"`
	Mode     incident.Mode `yaml:"mode,omitempty"` // limits this rung; default: the mode of the rule

	// Approvals is how many people must approve the plan; it implies mode approve. With two or more, service accounts
	// do not
	// count. Default 1.
	Approvals int `yaml:"approvals,omitempty"`
	// CoolOff is how long an approved plan waits, so that somebody can object (`watchdog deny`). Default 0.
	CoolOff model.Duration `yaml:"cool_off,omitempty"`

	// scale: a percentage of the current replicas ("25%", rounded up) or a number
	By      string         `yaml:"by,omitempty"`
	AtLeast int            `yaml:"at_least,omitempty"` // scale: an absolute number; never lowers
	Max     int            `yaml:"max,omitempty"`      // scale: the upper limit of replicas
	Lease   model.Duration `yaml:"lease,omitempty"`    // scale: how long before the change is reverted; default 2h

	// OnlyIf is the condition of a rollback. Default suspect_deploy, the only value: a recent rollout.
	OnlyIf string `yaml:"only_if,omitempty"`

	// Template is the name of an entry of job_templates, for job.
	Template string `yaml:"template,omitempty"`
}

// JobTemplate is a Job manifest with limits on time and attempts, and without literal secrets, unresolved variables and
// terminals.
// `watchdog check` and every start validate it. If the Job fails, the next rung follows.
type JobTemplate struct {
	File string `yaml:"file"` // a batch/v1 Job in YAML, relative to the configuration file
	// Allow lifts restrictions by name: privileged (also capabilities and privilege escalation), host (hostPath,
	// hostNetwork, hostPID, hostIPC, hostPort), service_account (another than the namespace's default), parallel (more
	// than one pod), shell (sh -c). Default: none.
	Allow []string `yaml:"allow,omitempty"`
}

// JobAllowances are the values of Allow.
var JobAllowances = []string{"privileged", "host", "service_account", "parallel", "shell"}

// Receivers are where notifications go; each is optional.
type Receivers struct {
	PagerDuty *PagerDuty `yaml:"pagerduty,omitempty"` // pages people
	// additional PagerDuty services, for the steps of an escalation
	Pagers     []Pager     `yaml:"pagers,omitempty"`
	Slack      *Slack      `yaml:"slack,omitempty"`      // posts to a channel
	Statuspage *Statuspage `yaml:"statuspage,omitempty"` // updates the public status page
	Webhooks   []Webhook   `yaml:"webhooks,omitempty"`   // HTTP POST requests
	Emails     []Email     `yaml:"emails,omitempty"`     // mail
}

// Response is the time to acknowledge an incident (`watchdog ack`). When a deadline passes, every receiver except the
// status page is notified,
// and the next deadline starts. For P0, the clock starts when the incident opens; otherwise when watchdog pages.
type Response struct {
	Severity incident.Severity `yaml:"severity"` // one row per severity
	// time for the acknowledgement, 1s to 30d; default: the runbook's
	Within model.Duration `yaml:"within,omitempty"`
	// name of a time interval: only that time counts; default: all time
	During string `yaml:"during,omitempty"`
	// Steps are the steps of the escalation: the first is taken immediately, each further one when a deadline passes or
	// a phase ends
	// without its requirement. Without steps, everybody is notified immediately, and again at each deadline.
	Steps []Step `yaml:"steps,omitempty"`
	// Repeat is the number of deadlines after that of the last step. Default: unlimited.
	Repeat *int `yaml:"repeat,omitempty"`
	// Phases are the phases of the response with their requirements. Default for P0 and P1, from the runbook (4.2):
	// stabilise within
	// 15m with evidence, investigate within 1h with a hypothesis, decide within 2h with a decision. An empty list
	// disables them.
	Phases []ResponsePhase `yaml:"phases,omitempty"`
}

// Step is one step of an escalation.
type Step struct {
	// receivers to notify from this step on: pagerduty, slack, or the name of a webhook or of an e-mail
	Receivers []string `yaml:"receivers,omitempty"`
	Contacts  []string `yaml:"contacts,omitempty"` // contacts to list in the notification
	// time for an acknowledgement from this step on; default: the severity's
	Within model.Duration `yaml:"within,omitempty"`
	// name of a time interval: only that time counts; default: the severity's
	During string `yaml:"during,omitempty"`
}

// ResponsePhase is a part of the response to an incident.
type ResponsePhase struct {
	Name   string         `yaml:"name"`   // stabilise
	Within model.Duration `yaml:"within"` // end of the phase, counted from when a person was first needed: 1s to 30d
	// Needs are the requirements of the phase: acknowledged, evidence (captured, or an action applied),
	// hypothesis, decision (`watchdog note --as`; an action that helped is a decision, too).
	Needs []string `yaml:"needs"`
}

// NamedTime is a set of intervals with a name.
type NamedTime struct {
	Name          string         `yaml:"name"`           // name of the time interval
	TimeIntervals []TimeInterval `yaml:"time_intervals"` // the union of these intervals
}

// TimeInterval is a recurring time, as in Alertmanager: all fields that are set must match.
type TimeInterval struct {
	Times    []TimeRange `yaml:"times,omitempty"`    // parts of the day; default: all of it
	Weekdays []string    `yaml:"weekdays,omitempty"` // names or ranges: monday:friday
	// numbers or ranges; negative ones count from the end: 1:7, -1
	DaysOfMonth []string `yaml:"days_of_month,omitempty"`
	Months      []string `yaml:"months,omitempty"`   // names, numbers or ranges: may:august, 12
	Years       []string `yaml:"years,omitempty"`    // numbers or ranges: 2026:2028
	Location    string   `yaml:"location,omitempty"` // time zone: Europe/Berlin; default: UTC
}

// TimeRange is a part of the day, without its last minute.
type TimeRange struct {
	StartTime string `yaml:"start_time"` // HH:MM
	EndTime   string `yaml:"end_time"`   // HH:MM, up to 24:00
}

// Heartbeat is an HTTP request that the leader sends at each interval. Redirects are not followed.
type Heartbeat struct {
	URL      string         `yaml:"url,omitempty"`      // of the dead man's switch; exactly one of url and url_file
	URLFile  string         `yaml:"url_file,omitempty"` // file with the URL, if it is a secret
	Interval model.Duration `yaml:"interval,omitempty"` // interval between heartbeats; default 1m
	Timeout  model.Duration `yaml:"timeout,omitempty"`  // timeout of one request, at most interval; default 10s
	Method   string         `yaml:"method,omitempty"`   // GET or POST; default GET
}

// Canary is a synthetic alert that tests whether alerts get from a sample to a receiver. Nobody is notified of it.
type Canary struct {
	Interval model.Duration `yaml:"interval,omitempty"` // interval between canary alerts; default 5m
}

// MaintenanceWindow is a recurring maintenance window. watchdog keeps watching its targets; the window has four
// independent effects.
// If several windows apply to a target, the strictest effects apply. See docs/maintenance.md.
type MaintenanceWindow struct {
	Name    string   `yaml:"name"`              // unique
	During  string   `yaml:"during"`            // name of a time interval: when the window is active
	Targets []string `yaml:"targets,omitempty"` // targets of the window; empty: all
	// Page is hold (notifications wait until the window ends, and are sent if the alert still fires) or normal. Default
	// normal.
	Page string `yaml:"page,omitempty"`
	// Remediate limits actions on the targets: off, safe_only (actions that add pods and disturb none) or normal.
	// Default off.
	Remediate Switch `yaml:"remediate,omitempty"`
	// Deploy is required (the targets may be deployed in such a window only), forbidden (not in this window) or any.
	// Default any.
	Deploy string `yaml:"deploy,omitempty"`
	// SLA is exclude (the time does not count against error budgets) or include. Default include.
	SLA     string      `yaml:"sla,omitempty"`
	Silence bool        `yaml:"silence,omitempty"` // also create a silence in the Alertmanager of alertmanager.silences
	Public  *PublicNote `yaml:"public,omitempty"`  // announcement on the public status page; default: none
	Reason  string      `yaml:"reason,omitempty"`  // reason; shown with the window
}

// PublicNote is the public announcement of a maintenance window.
type PublicNote struct {
	Name string `yaml:"name"`           // the title: Database maintenance
	Body string `yaml:"body,omitempty"` // the text
}

// Contact is a person or role to contact.
type Contact struct {
	Name  string `yaml:"name"`            // name of the person or role: DevOps lead
	Phone string `yaml:"phone,omitempty"` // at least one of phone, email and slack
	Email string `yaml:"email,omitempty"` // mail address
	Slack string `yaml:"slack,omitempty"` // channel or handle, as text
}

// Link is a link to a page.
type Link struct {
	Name string `yaml:"name"` // what it shows: dashboard
	URL  string `yaml:"url"`  // http or https
}

// Runbook is the runbook of the team.
type Runbook struct {
	URL string `yaml:"url,omitempty"` // URL of the runbook; part of every P0 and P1 notification
	// ReviewBy is the date of the next review of the runbook: 2026-12-19. It is exported as
	// watchdog_runbook_review_by_timestamp_seconds.
	ReviewBy string `yaml:"review_by,omitempty"`
}

// PagerDuty is an Events API v2 integration.
type PagerDuty struct {
	URL            string `yaml:"url,omitempty"`    // base URL; default https://events.pagerduty.com
	RoutingKeyFile string `yaml:"routing_key_file"` // file with the integration key of the service
	// severities to page for; default P0, P1; other severities once a person must act
	Severities []incident.Severity `yaml:"severities,omitempty"`
	// Go template with Alertmanager's functions and data: the event's summary
	Description string `yaml:"description,omitempty"`
	// further details of the event, each a Go template
	Details map[string]string `yaml:"details,omitempty"`
	// ChangeEvents sends each new rollout of a watched Deployment to PagerDuty as a change event. Nobody is paged.
	ChangeEvents bool              `yaml:"change_events,omitempty"`
	Webhook      *PagerDutyWebhook `yaml:"webhook,omitempty"` // responses of people in PagerDuty
}

// Pager is an additional PagerDuty service.
type Pager struct {
	Name      string `yaml:"name"` // of the receiver; unique
	PagerDuty `yaml:",inline"`
}

// PagerDutyWebhook accepts PagerDuty's webhooks (version 3) at /webhook/pagerduty: acknowledgements and notes in
// PagerDuty apply to the
// incident in watchdog. See docs/response.md.
type PagerDutyWebhook struct {
	SecretFiles []string `yaml:"secret_files"`    // files with the secret of the subscription; two during a rotation
	Users       []Person `yaml:"users,omitempty"` // maps PagerDuty users to Kubernetes users
	// Acknowledge is who may acknowledge an incident in PagerDuty: users (those listed, if they have the right) or
	// anybody. Default users.
	Acknowledge string `yaml:"acknowledge,omitempty"`
}

// Person maps a user of Slack or PagerDuty to a user of Kubernetes, whose rights come from RBAC: see docs/approvals.md.
type Person struct {
	ID     string   `yaml:"id"`               // ID of the user: U0123ABCD in Slack, PLH1HKV in PagerDuty; not a name
	User   string   `yaml:"user"`             // name of the user in Kubernetes' RBAC
	Groups []string `yaml:"groups,omitempty"` // groups in Kubernetes' RBAC
}

// API configures the HTTP API: who may read, and whether people may acknowledge, approve, deny, hold, change the
// severity and write notes
// over HTTP. Callers send a Kubernetes token; their rights come from RBAC: see docs/api.md.
type API struct {
	Control bool `yaml:"control,omitempty"` // true: accept requests of people
	// Audiences are the accepted token audiences. Default watchdog: tokens for the API server or other programs are
	// rejected.
	Audiences []string `yaml:"audiences,omitempty"`
	// Read is who may read: authorized (users who may get incidents in watchdog's namespace, and holders of a token of
	// read_token_files) or anybody.
	Read string `yaml:"read,omitempty"` // default authorized
	// files with one read-only token each, for Grafana, which has no Kubernetes token; read at each use
	ReadTokenFiles []string `yaml:"read_token_files,omitempty"`
	// Hosts are additional host names for which browsers may read without a token, besides addresses, localhost, and
	// cluster-internal names.
	Hosts []string `yaml:"hosts,omitempty"`
}

// Slack posts one message per incident and edits it in place.
type Slack struct {
	URL string `yaml:"url,omitempty"` // base URL; default https://slack.com/api/
	// file with a bot token (xoxb-…) that can post to the channel
	TokenFile  string              `yaml:"token_file"`
	Channel    string              `yaml:"channel"`              // name or id of the channel
	Severities []incident.Severity `yaml:"severities,omitempty"` // severities to notify of; default P0, P1, P2, P3
	// Interaction adds buttons to the messages: acknowledge, approve, deny, hold, why.
	Interaction *SlackInteraction `yaml:"interaction,omitempty"`
	// Go template with Alertmanager's functions and data, instead of the header
	Title string `yaml:"title,omitempty"`
	// the same, in Slack's mrkdwn, instead of the body; text from alerts is escaped
	Text string `yaml:"text,omitempty"`
}

// SlackInteraction configures how clicks on buttons reach watchdog: signed requests to /webhook/slack, Socket Mode, or
// both. See
// docs/slack.md.
type SlackInteraction struct {
	// file with the app's signing secret: Slack posts clicks to /webhook/slack
	SigningSecretFile string `yaml:"signing_secret_file,omitempty"`
	// file with an app-level token (xapp-…): Socket Mode, which needs no ingress
	AppTokenFile string `yaml:"app_token_file,omitempty"`
	// maps Slack users to Kubernetes users; others are rejected
	Users []Person `yaml:"users"`
}

// Webhook posts an incident to an HTTP service when it opens, on relevant changes, and when it is resolved. The
// body is that of Alertmanager's webhook (version 4), or the result of a template with the same data: see
// docs/receivers.md.
type Webhook struct {
	Name string `yaml:"name"` // of the receiver; unique
	// where to post; exactly one of url and url_file
	URL     string `yaml:"url,omitempty"`
	URLFile string `yaml:"url_file,omitempty"` // file with the URL, if it is a secret
	// file with a bearer token, read at each use
	BearerTokenFile string `yaml:"bearer_token_file,omitempty"`
	// further request headers; none of them a secret
	Headers map[string]string `yaml:"headers,omitempty"`
	// Go template with Alertmanager's functions and data; default: Alertmanager's JSON
	Body        string `yaml:"body,omitempty"`
	ContentType string `yaml:"content_type,omitempty"` // of the body; default application/json
	// file with the certificate authorities to trust instead of the system's
	CAFile string `yaml:"ca_file,omitempty"`
	// name of the receiver (pagerduty, slack, a webhook or an e-mail) that this one replaces when it rejects a
	// notification, or does not accept it for 30s
	FallbackFor string `yaml:"fallback_for,omitempty"`
	// severities to notify of; default P0, P1, P2, P3; other severities once a person must act
	Severities []incident.Severity `yaml:"severities,omitempty"`
}

// Email sends an incident by SMTP when it opens, on relevant changes, and when it is resolved: one thread per incident.
type Email struct {
	Name      string   `yaml:"name"`      // of the receiver; unique
	Smarthost string   `yaml:"smarthost"` // mail server, host:port
	From      string   `yaml:"from"`      // sender: watchdog <watchdog@example.com>
	To        []string `yaml:"to"`        // recipients
	// TLS is starttls (default, required), implicit (usual on port 465), none (loopback only) or none-over-the-network
	// (any host; anybody on the network can read and change the mail, and no password is sent).
	TLS          string `yaml:"tls,omitempty"`
	Username     string `yaml:"username,omitempty"`      // for SMTP AUTH; default: none
	PasswordFile string `yaml:"password_file,omitempty"` // file with the password, read at each use
	// file with the certificate authorities to trust instead of the system's
	CAFile string `yaml:"ca_file,omitempty"`
	// host name in EHLO; default: the name of the host
	Hello string `yaml:"hello,omitempty"`
	// Go template with Alertmanager's functions and data; default: one subject for the whole thread
	Subject string `yaml:"subject,omitempty"`
	// Go template of the HTML part; values are escaped
	HTML string `yaml:"html,omitempty"`
	Text string `yaml:"text,omitempty"` // Go template of the text part
	// name of the receiver (pagerduty, slack, a webhook or an e-mail) that this one replaces when it rejects a
	// notification, or does not accept it for 30s
	FallbackFor string `yaml:"fallback_for,omitempty"`
	// severities to notify of; default P0, P1, P2, P3; other severities once a person must act
	Severities []incident.Severity `yaml:"severities,omitempty"`
}

// Statuspage publishes an incident on the public status page.
type Statuspage struct {
	URL         string `yaml:"url,omitempty"`          // base URL; default https://api.statuspage.io
	PageID      string `yaml:"page_id"`                // id of the page
	TokenFile   string `yaml:"token_file"`             // file with an API key
	ComponentID string `yaml:"component_id,omitempty"` // component for targets without a component of their own
	// Components are the components of the page that follow one target each.
	Components []StatuspageComponent `yaml:"components,omitempty"`
	// Publish is off (default; watchdog only records what it would post), ask (the first post of an incident waits for
	// `watchdog publish ID`) or auto.
	Publish    Switch              `yaml:"publish,omitempty"`
	Severities []incident.Severity `yaml:"severities,omitempty"` // severities to publish; default P0, P1
	// PendingFor is how long a state must last before it is published. Default 30s.
	PendingFor model.Duration `yaml:"pending_for,omitempty"`
	// ClearAfter is how long an incident must be resolved before that is published. Default 5m.
	ClearAfter model.Duration `yaml:"clear_after,omitempty"`
	// MinUpdateInterval is the least time between two updates of a component (INV-44). Default 5m.
	MinUpdateInterval model.Duration `yaml:"min_update_interval,omitempty"`
	// texts; default: one prepared sentence per state
	Templates []StatuspageTemplate `yaml:"templates,omitempty"`
}

// StatuspageComponent is a component of the status page that follows a target.
type StatuspageComponent struct {
	Target string `yaml:"target"`         // name of the target; several may share a component
	ID     string `yaml:"id"`             // the component's id at Statuspage
	Name   string `yaml:"name,omitempty"` // public name: Checkout; default: the service
}

// StatuspageTemplate is the public text for a state. It may contain plain text, {{ .Component }} and {{ .Since }}.
type StatuspageTemplate struct {
	Severity  incident.Severity `yaml:"severity,omitempty"`  // severity of the text; default: any
	State     string            `yaml:"state"`               // investigating, identified, monitoring or resolved
	Name      string            `yaml:"name,omitempty"`      // title of the post; default Degraded service
	Body      string            `yaml:"body,omitempty"`      // default: a prepared sentence
	Automatic bool              `yaml:"automatic,omitempty"` // with `publish: ask`, post this without approval
}

// Rate is a count in a sliding window, written 3/1h.
type Rate struct {
	Count int
	Per   model.Duration
	set   bool // also a count of 0 may be meant
}

// Budget limits the number of ops in a sliding window, over all rules (INV-17).
type Budget struct {
	PerTarget    Rate `yaml:"per_target,omitempty"`    // ops on one target; default 3/1h
	PerNamespace Rate `yaml:"per_namespace,omitempty"` // ops in one namespace; default 5/1h
	Cluster      Rate `yaml:"cluster,omitempty"`       // ops in the cluster; default 10/1h
	// Pods is how many pods ops may disturb in the cluster, in the worst case. A single op above the limit
	// may run if no other op has used the budget. Default 200/1h.
	Pods       Rate `yaml:"pods,omitempty"`
	Concurrent int  `yaml:"concurrent,omitempty"` // ops in flight at once; default 2
	// MinInterval is the least time between the starts of two restarts or rollbacks,
	// plus up to half of it as jitter (INV-24). Default 10s.
	MinInterval model.Duration `yaml:"min_interval,omitempty"`
	// MaxUnhealthy is the share of watched targets in breach above which watchdog takes
	// no actions (INV-14): a storm, with one page. Default 30%.
	MaxUnhealthy Quantity `yaml:"max_unhealthy,omitempty"`
	// StormFrom is the minimum number of targets in breach for a storm. Default 5.
	StormFrom int `yaml:"storm_from,omitempty"`
}

// Guards configures the guards.
type Guards struct {
	// Cooldown is the time after an op on a target before the next incident may act on it. It doubles
	// with each incident within the window of quarantine. Default 5m.
	Cooldown model.Duration `yaml:"cooldown,omitempty"`
	// AvailabilityFloor is the share of desired replicas that must stay ready in
	// the worst case of an action. Default 50%.
	AvailabilityFloor Quantity `yaml:"availability_floor,omitempty"`
	// SuspectWindow is how long after a rollout a breach is attributed to it. Default 30m.
	SuspectWindow model.Duration `yaml:"suspect_window,omitempty"`
	// GoodAfter is how long a revision must have been healthy to be a rollback target. Default 10m.
	GoodAfter model.Duration `yaml:"good_after,omitempty"`
	// HumanChange is how long watchdog takes no actions after a person changed the workload. Default 10m.
	HumanChange model.Duration `yaml:"human_change,omitempty"`
	// OwnChange is how long watchdog remembers its own changes: it does not repeat a change that somebody reverted,
	// and does not toggle a field (INV-23, INV-28). Default 1h.
	OwnChange model.Duration `yaml:"own_change,omitempty"`
	// StartupGrace is how long after watchdog replaced pods a new breach is attributed to their start: watchdog
	// does not replace them again (INV-10). Default 5m.
	StartupGrace model.Duration `yaml:"startup_grace,omitempty"`
	// Quarantine is the number of incidents in a window in which watchdog may act on one target. After that, it takes
	// no actions on the target until a person runs watchdog resume (INV-22). Default 3/6h.
	Quarantine Rate `yaml:"quarantine,omitempty"`
	// Approval is how long a plan in mode approve waits for approval before the ladder ends with a page. Default 1h.
	Approval model.Duration `yaml:"approval,omitempty"`
	// WaitLimit is how long guards may answer "wait" before watchdog pages. Default 10m.
	WaitLimit model.Duration `yaml:"wait_limit,omitempty"`
	// HoldLimit is how long a target in breach may stay on hold before watchdog pages. Default 30m.
	HoldLimit model.Duration `yaml:"hold_limit,omitempty"`
	// OutageTolerance is how long monitoring (Prometheus, watchdog's own probes) may return no data, in total, before
	// people are notified. watchdog
	// takes no actions meanwhile. Default 3m.
	OutageTolerance model.Duration `yaml:"outage_tolerance,omitempty"`
	// MaxReplicas caps every scale action. Default 50.
	MaxReplicas int `yaml:"max_replicas,omitempty"`
}

// Quantity is a bound with its unit: seconds for durations (500ms), a ratio for
// percentages (0.1% is 0.001), else a plain number.
type Quantity struct {
	Value float64
	Unit  string // "seconds", "ratio" or ""
	Text  string // as written
}

package config

import (
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"

	"watchdog.io/watchdog/pkg/incident"
)

// Config is the whole file. The zero value of every field is safe: an empty
// file observes nothing and acts on nothing.
type Config struct {
	// Mode is the ceiling for every target and every rule: observe (default), suggest, approve or auto.
	Mode incident.Mode `yaml:"mode,omitempty"`
	// Prometheus is a Prometheus-compatible server. Without it only rules with source local load.
	Prometheus *Prometheus `yaml:"prometheus,omitempty"`
	// Alertmanager is who may post alerts to /webhook/alertmanager, and whose silences are honoured.
	Alertmanager *Alertmanager `yaml:"alertmanager,omitempty"`
	// Targets are the workloads that are watched.
	Targets []Target `yaml:"targets,omitempty"`
	// Thresholds are the rules. Omitted, the runbook's metrics table is used as shipped (see DefaultThresholds).
	Thresholds []Threshold `yaml:"thresholds,omitempty"`
	// Shipped says that the file names no thresholds.
	Shipped bool `yaml:"-"`
	// RuleFiles are Prometheus rule files or PrometheusRule manifests, used as they are: paths or
	// patterns, relative to this file. The embedded engine judges them over the probes' samples.
	RuleFiles []string `yaml:"rule_files,omitempty"`
	// Routes say what is done about the alerts of rule files and of Alertmanager: the first route whose matchers all match decides.
	// An alert that no route matches, or whose route has no ladder, is only told.
	Routes []Route `yaml:"routes,omitempty"`
	// InhibitRules are Alertmanager's: while an alert fires that a rule's source_matchers match, nobody is told of those that its
	// target_matchers match and that have the same labels in equal.
	InhibitRules []InhibitRule `yaml:"inhibit_rules,omitempty"`
	// SLOs are service level objectives: burn-rate alerts, error budgets and `watchdog sla report`.
	SLOs []SLO `yaml:"slos,omitempty"`
	// SelfReport compares what applications say of themselves in /metrics/sla with what watchdog measures.
	SelfReport *SelfReport `yaml:"self_report,omitempty"`
	// EvaluationInterval is how often the thresholds are judged, and groups of rule files that have no interval. Default 15s.
	EvaluationInterval model.Duration `yaml:"evaluation_interval,omitempty"`
	// Response says by when a person must acknowledge an incident. What it does not name is as in the runbook: P0 15m, P1 1h,
	// P2 4h, P3 24h during weekdays.
	Response []Response `yaml:"response,omitempty"`
	// TimeIntervals are named times, written as in Alertmanager. One is there by itself: weekdays, Monday to Friday in UTC.
	TimeIntervals []NamedTime `yaml:"time_intervals,omitempty"`
	// MaintenanceWindows are times that come again and again in which people work on targets; one that comes once is an object of the
	// cluster: `watchdog maintenance start`.
	MaintenanceWindows []MaintenanceWindow `yaml:"maintenance_windows,omitempty"`
	// Receivers are the ways of telling people.
	Receivers Receivers `yaml:"receivers,omitempty"`
	// Heartbeat goes to a dead man's switch outside as long as watchdog can evaluate, act and page: see docs/self-watch.md.
	Heartbeat *Heartbeat `yaml:"heartbeat,omitempty"`
	// Canary is the alert by which watchdog tries itself out.
	Canary Canary `yaml:"canary,omitempty"`
	// API is watchdog's own HTTP API for people's words; off unless it is here.
	API *API `yaml:"api,omitempty"`
	// Templates are files of Go templates as Alertmanager has them, with define: paths or patterns, relative to this file. What they define
	// can be used in every template of a receiver.
	Templates []string `yaml:"templates,omitempty"`
	// Contacts are whom to call; every P0 and P1 message carries them.
	Contacts []Contact `yaml:"contacts,omitempty"`
	// Links are where to look; every P0 and P1 message carries them.
	Links []Link `yaml:"links,omitempty"`
	// Runbook is the document that people follow.
	Runbook *Runbook `yaml:"runbook,omitempty"`
	// Budget bounds how much may be done in a sliding window.
	Budget Budget `yaml:"budget,omitempty"`
	// Guards holds the numbers of the guards that have no budget.
	Guards Guards `yaml:"guards,omitempty"`
	// JobTemplates are the vetted Job manifests that the job action may run, by name.
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
	secrets  func() *hider // what the file has that must not be shown; see Hide
}

// Prometheus is how a Prometheus-compatible server is asked.
type Prometheus struct {
	URL             string         `yaml:"url"`                         // base URL, as Grafana would be given it
	Timeout         model.Duration `yaml:"timeout,omitempty"`           // how long one query may take; default 10s
	BearerTokenFile string         `yaml:"bearer_token_file,omitempty"` // file with a bearer token, read at each use: short for authorization
	CAFile          string         `yaml:"ca_file,omitempty"`           // file with the certificate authorities to trust instead of the system's: short for tls_config.ca_file
	BasicAuth       *BasicAuth     `yaml:"basic_auth,omitempty"`        // user name and password
	Authorization   *Authorization `yaml:"authorization,omitempty"`     // the Authorization header; at most one of this, basic_auth and bearer_token_file
	// HTTPHeaders are further request headers by name, such as the tenant of Mimir: X-Scope-OrgID.
	HTTPHeaders map[string]HTTPHeader `yaml:"http_headers,omitempty"`
	TLSConfig   *TLSConfig            `yaml:"tls_config,omitempty"` // certificate authorities and client certificate
	// Staleness is how old the newest sample may be for its value to count. Default 5m, which is how long Prometheus shows a series after its last
	// sample (--query.lookback-delta): what is scraped every few minutes is fresh.
	Staleness model.Duration `yaml:"staleness,omitempty"`
	// RuleFiles are rule files whose alerts are judged by asking this server, usually its own rule files.
	// Their recording rules are left to the server.
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

// TLSConfig is how a server is trusted and what it is shown, with the names of Prometheus' http_config.
type TLSConfig struct {
	CAFile             string `yaml:"ca_file,omitempty"`              // file with the certificate authorities to trust instead of the system's, read at each use
	CertFile           string `yaml:"cert_file,omitempty"`            // file with a client certificate, read for each connection
	KeyFile            string `yaml:"key_file,omitempty"`             // file with the key of cert_file
	ServerName         string `yaml:"server_name,omitempty"`          // the name that the server's certificate must have; default the host of the URL
	InsecureSkipVerify bool   `yaml:"insecure_skip_verify,omitempty"` // accept any certificate
}

// Alertmanager is the webhook for alerts of Alertmanager and Grafana. Such an alert is a hint: it opens an incident, tells and
// pages as its route says, and nothing is done to a workload unless watchdog's own sources say bad, too.
type Alertmanager struct {
	// Senders are who may post, each with a bearer token. Users and client certificates of the web configuration may post, too; nobody else.
	Senders []Sender `yaml:"senders,omitempty"`
	// Silences are read from an Alertmanager and honoured: see docs/silences.md.
	Silences *Silences `yaml:"silences,omitempty"`
}

// Silences is the Alertmanager whose silences are honoured. While all that fires on a target is silenced, nobody is told that its incident
// opened; the incident is there all the same, and people are told of it when the silence ends and something still fires.
type Silences struct {
	// URLs are the peers of one Alertmanager cluster: base URLs, at most 10. The first that answers is asked.
	URLs            []string       `yaml:"urls"`
	Interval        model.Duration `yaml:"interval,omitempty"`          // how often it is asked; default 30s
	Timeout         model.Duration `yaml:"timeout,omitempty"`           // how long one request to one peer may take; default 5s
	BearerTokenFile string         `yaml:"bearer_token_file,omitempty"` // file with a bearer token, read at each use
	Username        string         `yaml:"username,omitempty"`          // for basic authentication
	PasswordFile    string         `yaml:"password_file,omitempty"`     // file with the password of username, read at each use
	CAFile          string         `yaml:"ca_file,omitempty"`           // file with the certificate authorities to trust instead of the system's
	CertFile        string         `yaml:"cert_file,omitempty"`         // file with a client certificate
	KeyFile         string         `yaml:"key_file,omitempty"`          // file with the key of cert_file
	// Keep is how long what was last known counts while no peer answers. Then nothing is silenced. Default 10m.
	Keep model.Duration `yaml:"keep,omitempty"`
	// SilencedAlerts is what watchdog may do because of an alert that is silenced: observe, or remediate as if it were not. Default observe.
	SilencedAlerts string `yaml:"silenced_alerts,omitempty"`
}

// Sender is one system that may post alerts.
type Sender struct {
	Name      string `yaml:"name"`       // for the record
	TokenFile string `yaml:"token_file"` // file with the bearer token, read at each use
}

// Route says what is done about alerts with certain labels.
type Route struct {
	// Matchers are on the alert's labels, written as in Alertmanager: severity="critical", team=~"a|b", env!="dev". One item may hold several, separated by commas.
	// All must match; without one, every alert does.
	Matchers []string `yaml:"matchers,omitempty"`
	// Severity is how fast a person must answer. Default: the alert's label severity, which may be P0 to P3, critical, page or emergency
	// (P1), warning (P2), info or notice (P3); P2 if it says nothing known. An alert with severity none is dropped unless its route gives a severity.
	Severity incident.Severity `yaml:"severity,omitempty"`
	// Mode is how far watchdog may go because of these alerts. Default observe: each route opts in.
	Mode   incident.Mode `yaml:"mode,omitempty"`
	Ladder []Rung        `yaml:"ladder,omitempty"` // the remedies, mildest first; page is the last; without a ladder, the alert is only told
	// Drop leaves these alerts aside: they open no incident and nobody is told. They still inhibit others.
	Drop bool `yaml:"drop,omitempty"`
	// SingleSource waives the second source of evidence that restart and
	// rollback need (INV-11). The text says why and goes into the audit record.
	SingleSource string `yaml:"single_source,omitempty"`
	open         bool   // the file gives no mode
	matchers     labels.Matchers
}

// InhibitRule keeps alerts quiet while another one fires, as in Alertmanager. Of alerts of rule files, of Alertmanager and of thresholds.
type InhibitRule struct {
	SourceMatchers []string `yaml:"source_matchers"` // on the labels of the alert that fires, written as matchers of a route
	TargetMatchers []string `yaml:"target_matchers"` // on the labels of those that are kept quiet
	Equal          []string `yaml:"equal,omitempty"` // labels that must be the same in both; one that neither has is
	source, target labels.Matchers
}

// SLO is a service level objective. It raises the alert ErrorBudgetBurn, with the labels slo, target, window and severity:
// P1 when the budget burns 14.4 times too fast over 1h and 5m, P2 for 6 times over 6h and 30m, P3 for once over 3d and 6h.
// Routes say what is done about it.
type SLO struct {
	Name string `yaml:"name"` // unique; the label slo
	// Metric is what is promised: availability (share of time in which every probe is well), latency (share of time in which the
	// application's 95th percentile is below max) or errors (share of requests that do not fail). Or give bad and all.
	Metric    string         `yaml:"metric,omitempty"`
	Objective Quantity       `yaml:"objective"`         // the share that must be good: 99.95%
	Max       *Quantity      `yaml:"max,omitempty"`     // for latency: the bound, 500ms
	Window    model.Duration `yaml:"window,omitempty"`  // the time for which it is promised; default 30d
	Targets   []string       `yaml:"targets,omitempty"` // limits the objective to the named targets; empty: all
	Bad       string         `yaml:"bad,omitempty"`     // PromQL for the bad events of the last minute, one value per label target
	All       string         `yaml:"all,omitempty"`     // PromQL for all events of the last minute, one value per label target
	// Source of bad and all: local (default) or prometheus.
	Source string `yaml:"source,omitempty"`
	// MinEvents is how many events the short window of an alert must hold, so that a handful of requests burns no budget. For errors, default 100.
	MinEvents float64 `yaml:"min_events,omitempty"`
}

// SelfReport raises the alert SelfReportDiffers (P3), with the label what: uptime, errors or latency.
type SelfReport struct {
	Tolerance Quantity `yaml:"tolerance,omitempty"` // how far the two accounts may be apart; default 5%
}

// Target is one workload and how it is looked at.
type Target struct {
	// Name is the value of the label `target` on everything seen of it.
	Name string `yaml:"name"`
	// Mode is how far watchdog may go on this target. Default observe: each target opts in.
	Mode incident.Mode `yaml:"mode,omitempty"`
	// Workload is kind/name, for instance deployment/agent-system. Only deployments may be acted upon.
	Workload  string  `yaml:"workload"`
	Namespace string  `yaml:"namespace"`         // the namespace of the workload
	Service   string  `yaml:"service,omitempty"` // the Service whose ready endpoints are counted
	Probes    []Probe `yaml:"probes,omitempty"`  // how it is looked at over the network; the workload's state in Kubernetes is always looked at
	open      bool    // the file gives no mode
}

// Probe is one way of looking. Exactly one kind is set:
//
//   - health: { url: "http://…/health", interval: 15s }
type Probe struct {
	Health *HealthProbe `yaml:"health,omitempty"` // the health document of runbook 2.1
	SLA    *SLAProbe    `yaml:"sla,omitempty"`    // the application's own service level, /metrics/sla
	Agents *AgentsProbe `yaml:"agents,omitempty"` // the agents' status, /api/v2/agents/status
	HTTP   *HTTPProbe   `yaml:"http,omitempty"`   // any other request
	TCP    *TCPProbe    `yaml:"tcp,omitempty"`    // a connection
}

// Look is what all probes share.
type Look struct {
	// Name is the value of the label `probe`. Default: the kind. Unique within a target.
	Name      string         `yaml:"name,omitempty"`
	Interval  model.Duration `yaml:"interval,omitempty"`  // how often it looks; default 15s; sla 30s
	Timeout   model.Duration `yaml:"timeout,omitempty"`   // how long one look may take, at most interval; default 5s
	Failures  int            `yaml:"failures,omitempty"`  // this many bad looks of the last window make the probe bad; default 3
	Window    int            `yaml:"window,omitempty"`    // how many of the last looks count; default 5
	Successes int            `yaml:"successes,omitempty"` // this many good looks in a row make it good again; default 3
}

// HTTPClient is what all probes over HTTP share. Redirects are not followed.
type HTTPClient struct {
	URL                string            `yaml:"url"`                            // http or https; credentials in it are refused
	CAFile             string            `yaml:"ca_file,omitempty"`              // file with the certificate authorities to trust instead of the system's
	InsecureSkipVerify bool              `yaml:"insecure_skip_verify,omitempty"` // accept any certificate
	Headers            map[string]string `yaml:"headers,omitempty"`              // further request headers
	BearerTokenFile    string            `yaml:"bearer_token_file,omitempty"`    // file with a bearer token, read at each look
}

// HealthProbe reads the health document of runbook 2.1. An answer has at most 100 checks, and the names of checks and versions make at most 500
// series within the retention: a look with further names is unknown.
type HealthProbe struct {
	Look       `yaml:",inline"`
	HTTPClient `yaml:",inline"`
	// MaxSkew is how far the document's timestamp may be from now before it counts as stale. Default 1m.
	MaxSkew model.Duration `yaml:"max_skew,omitempty"`
	// Version is the release that is expected; empty: any.
	Version string `yaml:"version,omitempty"`
}

// SLAProbe reads /metrics/sla, the application's own account of its service level.
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
	// MaxDuration is the longest acceptable answer time; without it only the timeout bounds it.
	MaxDuration model.Duration `yaml:"max_duration,omitempty"`
}

// TCPProbe opens a connection.
type TCPProbe struct {
	Look    `yaml:",inline"`
	Address string `yaml:"address"` // host:port
}

// Threshold is one rule. Metric names a row of the built-in table, or Expr
// gives a PromQL expression whose value is compared, one series per `target`.
type Threshold struct {
	// Name is the rule's name; default the metric. Unique.
	Name   string `yaml:"name,omitempty"`
	Metric string `yaml:"metric,omitempty"` // a row of the shipped table; what is not given here is as shipped
	Expr   string `yaml:"expr,omitempty"`   // PromQL with one value per label target, instead of a metric's own expression
	// Source is local (the embedded engine over the probes' samples, default) or prometheus.
	Source string `yaml:"source,omitempty"`
	// Targets limits the rule to the named targets; empty: all.
	Targets    []string       `yaml:"targets,omitempty"`
	Above      *Quantity      `yaml:"above,omitempty"`       // the rule is in breach above this: 500ms, 0.1%, 80%, 2; exactly one of above and below
	Below      *Quantity      `yaml:"below,omitempty"`       // the rule is in breach below this
	ClearBelow *Quantity      `yaml:"clear_below,omitempty"` // with above: the bound of recovery; default the bound itself
	ClearAbove *Quantity      `yaml:"clear_above,omitempty"` // with below: the bound of recovery; default the bound itself
	For        model.Duration `yaml:"for"`                   // how long the condition must hold
	ClearFor   model.Duration `yaml:"clear_for,omitempty"`   // how long recovery must last
	// Window is the range of the built-in expression ($window in expr). Default 5m.
	Window      model.Duration    `yaml:"window,omitempty"`
	MinRate     float64           `yaml:"min_rate,omitempty"`     // requests per second below which the rule says NO_DATA
	MinRequests float64           `yaml:"min_requests,omitempty"` // requests in the window below which the rule says NO_DATA
	Severity    incident.Severity `yaml:"severity"`               // how fast a person must answer
	// Mode is how far watchdog may go because of this rule. Default observe: each rule opts in.
	Mode   incident.Mode `yaml:"mode,omitempty"`
	Ladder []Rung        `yaml:"ladder"` // the remedies, mildest first; page is the last
	// SingleSource waives the second source of evidence that restart and
	// rollback need (INV-11). The text says why and goes into the audit record.
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
	Settle model.Duration `yaml:"settle,omitempty"` // how long after the action's rollout its effect is judged at the earliest; default 30s
	Verify model.Duration `yaml:"verify,omitempty"` // how long after the action's rollout is complete its effect is judged at the latest; default 10m: twice the rule's window or the longest range of its expression, at least 5m
	open   bool           // the file gives no verify
	// Attempts is how often the rung may be tried in one incident. Default 1.
	Attempts int           `yaml:"attempts,omitempty"`
	Mode     incident.Mode `yaml:"mode,omitempty"` // how far watchdog may go with this rung; default: the rule's

	// Approvals is how many people must say yes to the plan; the rung's mode is then approve. With two or more, accounts of
	// programs do not count. Default 1.
	Approvals int `yaml:"approvals,omitempty"`
	// CoolOff is how long an approved plan still waits for somebody who objects (`watchdog deny`). Default: not at all.
	CoolOff model.Duration `yaml:"cool_off,omitempty"`

	By      string         `yaml:"by,omitempty"`       // scale: a share of the present replicas ("25%", rounded up) or a number
	AtLeast int            `yaml:"at_least,omitempty"` // scale: an absolute number; never lowers
	Max     int            `yaml:"max,omitempty"`      // scale: the most replicas it may ask for
	Lease   model.Duration `yaml:"lease,omitempty"`    // scale: how long it stays before it is taken back; default 2h

	// OnlyIf is the condition of a rollback. Default suspect_deploy, the only value: a rollout not long before.
	OnlyIf string `yaml:"only_if,omitempty"`

	// Template is the name of an entry of job_templates, for job.
	Template string `yaml:"template,omitempty"`
}

// JobTemplate is a vetted Job manifest: bounded in time and attempts, without literal secrets, unresolved variables and terminals. `watchdog check` and every start vet it. A Job that fails had no effect, and the next rung follows.
type JobTemplate struct {
	File string `yaml:"file"` // a batch/v1 Job in YAML, relative to the configuration file
	// Allow lifts restrictions by name: privileged (also capabilities and privilege escalation), host (hostPath, hostNetwork, hostPID, hostIPC, hostPort), service_account (another than the namespace's default), parallel (more than one pod), shell (sh -c). Default: none.
	Allow []string `yaml:"allow,omitempty"`
}

// JobAllowances are the values of Allow.
var JobAllowances = []string{"privileged", "host", "service_account", "parallel", "shell"}

// Receivers are the ways of telling people; each is optional.
type Receivers struct {
	PagerDuty  *PagerDuty  `yaml:"pagerduty,omitempty"`  // page people
	Pagers     []Pager     `yaml:"pagers,omitempty"`     // page further people: other services of PagerDuty, for the steps of an escalation
	Slack      *Slack      `yaml:"slack,omitempty"`      // tell the team
	Statuspage *Statuspage `yaml:"statuspage,omitempty"` // tell the public
	Webhooks   []Webhook   `yaml:"webhooks,omitempty"`   // tell anything that takes a POST
	Emails     []Email     `yaml:"emails,omitempty"`     // tell people by mail
}

// Response is by when somebody must acknowledge an incident that a person was asked about (`watchdog ack`). A deadline that passes is told to
// every receiver but the status page, and the next begins. For P0 the clock starts when the incident opens; otherwise once watchdog asks for a person.
type Response struct {
	Severity incident.Severity `yaml:"severity"`         // one row per severity
	Within   model.Duration    `yaml:"within,omitempty"` // time for the acknowledgement, 1s to 30d; default: the runbook's
	During   string            `yaml:"during,omitempty"` // a name of time_intervals: only that time counts; default: all time does
	// Steps are who is asked: the first at once, each further one when a deadline or a phase ended without what was due. Without
	// steps everybody is told at once, and again at each deadline.
	Steps []Step `yaml:"steps,omitempty"`
	// Repeat is how many deadlines follow that of the last step. Default: they go on without end.
	Repeat *int `yaml:"repeat,omitempty"`
	// Phases are what the response must have brought by when. Default for P0 and P1 as in the runbook (4.2): stabilise within 15m
	// with evidence, investigate within 1h with a hypothesis, decide within 2h with a decision. An empty list: none.
	Phases []ResponsePhase `yaml:"phases,omitempty"`
}

// Step is one step of an escalation.
type Step struct {
	Receivers []string       `yaml:"receivers,omitempty"` // names of receivers that are told from this step on, and not before: pagerduty, slack, or the name of a webhook or of an e-mail
	Contacts  []string       `yaml:"contacts,omitempty"`  // names of contacts whom the message says to call
	Within    model.Duration `yaml:"within,omitempty"`    // time for an acknowledgement from this step on; default: the severity's
	During    string         `yaml:"during,omitempty"`    // a name of time_intervals: only that time counts; default: the severity's
}

// ResponsePhase is a part of the response to an incident.
type ResponsePhase struct {
	Name   string         `yaml:"name"`   // stabilise
	Within model.Duration `yaml:"within"` // ends so long after a person was first needed, 1s to 30d
	// Needs are what it must have brought, or further people are asked: acknowledged, evidence (captured, or an action applied),
	// hypothesis, decision (`watchdog note --as`; an action that helped is a decision, too).
	Needs []string `yaml:"needs"`
}

// NamedTime is a set of intervals with a name.
type NamedTime struct {
	Name          string         `yaml:"name"`           // by which others refer to it
	TimeIntervals []TimeInterval `yaml:"time_intervals"` // the time that lies in at least one of them
}

// TimeInterval is a recurring time, as in Alertmanager: all that is given must fit.
type TimeInterval struct {
	Times       []TimeRange `yaml:"times,omitempty"`         // parts of the day; default: all of it
	Weekdays    []string    `yaml:"weekdays,omitempty"`      // names or ranges: monday:friday
	DaysOfMonth []string    `yaml:"days_of_month,omitempty"` // numbers or ranges; negative ones count from the end: 1:7, -1
	Months      []string    `yaml:"months,omitempty"`        // names, numbers or ranges: may:august, 12
	Years       []string    `yaml:"years,omitempty"`         // numbers or ranges: 2026:2028
	Location    string      `yaml:"location,omitempty"`      // time zone: Europe/Berlin; default: UTC
}

// TimeRange is a part of the day, without its last minute.
type TimeRange struct {
	StartTime string `yaml:"start_time"` // HH:MM
	EndTime   string `yaml:"end_time"`   // HH:MM, up to 24:00
}

// Heartbeat is a plain request at each interval, by the leader alone. Redirects are not followed.
type Heartbeat struct {
	URL      string         `yaml:"url,omitempty"`      // of the dead man's switch; exactly one of url and url_file
	URLFile  string         `yaml:"url_file,omitempty"` // file with the URL, if it is a secret
	Interval model.Duration `yaml:"interval,omitempty"` // how often it is sent; default 1m
	Timeout  model.Duration `yaml:"timeout,omitempty"`  // how long one may take, at most interval; default 10s
	Method   string         `yaml:"method,omitempty"`   // GET or POST; default GET
}

// Canary is an alert that watchdog makes to see whether alerts still get from a sample to a receiver. It reaches nobody.
type Canary struct {
	Interval model.Duration `yaml:"interval,omitempty"` // how often one flies; default 5m
}

// MaintenanceWindow is a recurring maintenance window. Targets are looked at and judged in it as ever; it has four effects, each by itself.
// Of several windows on one target the strictest effect counts. docs/maintenance.md
type MaintenanceWindow struct {
	Name    string   `yaml:"name"`              // unique
	During  string   `yaml:"during"`            // a name of time_intervals: when it is
	Targets []string `yaml:"targets,omitempty"` // the targets that are worked on; empty: all
	// Page is hold: nobody is told of what happens to the targets before the window is over, and then of what is still bad; or normal. Default normal.
	Page string `yaml:"page,omitempty"`
	// Remediate is what watchdog may do to the targets: off, nothing; safe_only, what adds and disturbs no pod; or normal. Default off.
	Remediate Switch `yaml:"remediate,omitempty"`
	// Deploy is required: the targets are deployed in such a window only; forbidden: not in this one; or any. Default any.
	Deploy string `yaml:"deploy,omitempty"`
	// SLA is exclude: the time does not count against error budgets; or include. Default include.
	SLA     string      `yaml:"sla,omitempty"`
	Silence bool        `yaml:"silence,omitempty"` // make a silence at the Alertmanager of alertmanager.silences, too
	Public  *PublicNote `yaml:"public,omitempty"`  // what the public status page says of it; without it, nothing
	Reason  string      `yaml:"reason,omitempty"`  // shown wherever the window is
}

// PublicNote is what the public is told of maintenance. Name nothing in it that is not public.
type PublicNote struct {
	Name string `yaml:"name"`           // the title: Database maintenance
	Body string `yaml:"body,omitempty"` // the text
}

// Contact is somebody to call.
type Contact struct {
	Name  string `yaml:"name"`            // of the person or the role: DevOps lead
	Phone string `yaml:"phone,omitempty"` // at least one of phone, email and slack
	Email string `yaml:"email,omitempty"` // mail address
	Slack string `yaml:"slack,omitempty"` // channel or handle, as text
}

// Link is a page to look at.
type Link struct {
	Name string `yaml:"name"` // what it shows: dashboard
	URL  string `yaml:"url"`  // http or https
}

// Runbook is the document that people follow.
type Runbook struct {
	URL string `yaml:"url,omitempty"` // where it is; a link on every P0 and P1 message
	// ReviewBy is the day by which it is to be looked through again: 2026-12-19. It is the metric watchdog_runbook_review_by_timestamp_seconds.
	ReviewBy string `yaml:"review_by,omitempty"`
}

// PagerDuty is an Events API v2 integration.
type PagerDuty struct {
	URL            string              `yaml:"url,omitempty"`         // base URL; default https://events.pagerduty.com
	RoutingKeyFile string              `yaml:"routing_key_file"`      // file with the integration key of the service
	Severities     []incident.Severity `yaml:"severities,omitempty"`  // which incidents are paged; default P0, P1; every other severity once a person must act
	Description    string              `yaml:"description,omitempty"` // Go template with Alertmanager's functions and data: the event's summary
	Details        map[string]string   `yaml:"details,omitempty"`     // further details of the event, each a Go template
	// ChangeEvents tells PagerDuty of each new rollout of a watched Deployment, so that it is shown beside incidents. Nobody is paged.
	ChangeEvents bool              `yaml:"change_events,omitempty"`
	Webhook      *PagerDutyWebhook `yaml:"webhook,omitempty"` // what people say in PagerDuty
}

// Pager is a further service of PagerDuty.
type Pager struct {
	Name      string `yaml:"name"` // of the receiver; unique
	PagerDuty `yaml:",inline"`
}

// PagerDutyWebhook takes PagerDuty's webhooks (version 3) at /webhook/pagerduty: an acknowledgement there is one here, and notes are
// taken over. docs/response.md has the steps.
type PagerDutyWebhook struct {
	SecretFiles []string `yaml:"secret_files"`    // files with the secret of the subscription; two while it is changed
	Users       []Person `yaml:"users,omitempty"` // who is who
	// Acknowledge is who may take an incident on in PagerDuty: users (those listed, with the right to) or anybody whom PagerDuty knows. Default users.
	Acknowledge string `yaml:"acknowledge,omitempty"`
}

// Person says who somebody is that Slack or PagerDuty knows by an id. What they may follows from Kubernetes' RBAC: docs/approvals.md.
type Person struct {
	ID     string   `yaml:"id"`               // of the user there: U0123ABCD in Slack, PLH1HKV in PagerDuty; never a name
	User   string   `yaml:"user"`             // name of the user in Kubernetes' RBAC
	Groups []string `yaml:"groups,omitempty"` // groups in Kubernetes' RBAC
}

// API says who may read what watchdog sees and does, and lets people acknowledge, approve, deny, hold, change the severity and write notes by HTTP. Callers send a Kubernetes token; RBAC says what they may: docs/api.md.
type API struct {
	Control bool `yaml:"control,omitempty"` // true: it takes words
	// Audiences are what tokens must be for, one of them. Default watchdog: a token that was made for the API server or for another program does not count.
	Audiences []string `yaml:"audiences,omitempty"`
	// Read says who may read: authorized, whom RBAC lets get incidents in watchdog's namespace, and who has a token of read_token_files; or anybody who reaches the port.
	Read           string   `yaml:"read,omitempty"`             // default authorized
	ReadTokenFiles []string `yaml:"read_token_files,omitempty"` // files with one token each that may read and nothing else: for Grafana, which has no Kubernetes token. Read at each use
	// Hosts are more names by which browsers may read without a token. Known are addresses, localhost, and names inside a cluster.
	Hosts []string `yaml:"hosts,omitempty"`
}

// Slack posts one message per incident and edits it in place.
type Slack struct {
	URL        string              `yaml:"url,omitempty"`        // base URL; default https://slack.com/api/
	TokenFile  string              `yaml:"token_file"`           // file with a bot token (xoxb-…) that may write to the channel
	Channel    string              `yaml:"channel"`              // name or id of the channel
	Severities []incident.Severity `yaml:"severities,omitempty"` // which incidents it is told of; default P0, P1, P2, P3
	// Interaction puts buttons on the messages: acknowledge, approve, deny, hold, why.
	Interaction *SlackInteraction `yaml:"interaction,omitempty"`
	Title       string            `yaml:"title,omitempty"` // Go template with Alertmanager's functions and data, instead of the header
	Text        string            `yaml:"text,omitempty"`  // the same, in Slack's mrkdwn, instead of what is said below it; what comes from alerts is shown literally
}

// SlackInteraction is how clicks on the buttons come back: by signed requests to /webhook/slack, by Socket Mode, or both. docs/slack.md
// has the steps.
type SlackInteraction struct {
	SigningSecretFile string   `yaml:"signing_secret_file,omitempty"` // file with the app's signing secret: Slack posts clicks to /webhook/slack
	AppTokenFile      string   `yaml:"app_token_file,omitempty"`      // file with an app-level token (xapp-…): Socket Mode, which needs no way in from outside
	Users             []Person `yaml:"users"`                         // who is who; everybody else is refused
}

// Webhook posts an incident to an HTTP service when it opens, when something changes that a person would act on, and when it is over. The
// body is that of Alertmanager's webhook (version 4), or what a template makes of the same data: docs/receivers.md has recipes.
type Webhook struct {
	Name            string              `yaml:"name"`                        // of the receiver; unique
	URL             string              `yaml:"url,omitempty"`               // where to post; exactly one of url and url_file
	URLFile         string              `yaml:"url_file,omitempty"`          // file with the URL, if it is a secret
	BearerTokenFile string              `yaml:"bearer_token_file,omitempty"` // file with a bearer token, read at each use
	Headers         map[string]string   `yaml:"headers,omitempty"`           // further request headers; none of them a secret
	Body            string              `yaml:"body,omitempty"`              // Go template with Alertmanager's functions and data; default: Alertmanager's JSON
	ContentType     string              `yaml:"content_type,omitempty"`      // of the body; default application/json
	CAFile          string              `yaml:"ca_file,omitempty"`           // file with the certificate authorities to trust instead of the system's
	FallbackFor     string              `yaml:"fallback_for,omitempty"`      // name of the receiver that it stands in for (pagerduty, slack, a webhook or an e-mail): told only of what that one did not take for 30s, or refused
	Severities      []incident.Severity `yaml:"severities,omitempty"`        // which incidents are told; default P0, P1, P2, P3; every other severity once a person must act
}

// Email sends an incident by SMTP when it opens, when something changes that a person would act on, and when it is over: one thread per incident.
type Email struct {
	Name      string   `yaml:"name"`      // of the receiver; unique
	Smarthost string   `yaml:"smarthost"` // the server that takes the mail, host:port
	From      string   `yaml:"from"`      // sender: watchdog <watchdog@example.com>
	To        []string `yaml:"to"`        // recipients
	// TLS is starttls (default; a server that does not offer it is sent nothing), implicit (usual on port 465), none (for loopback only) or
	// none-over-the-network (any host; mail and addresses can be read and changed on the way, and no password is sent).
	TLS          string              `yaml:"tls,omitempty"`
	Username     string              `yaml:"username,omitempty"`      // for SMTP AUTH; default: none
	PasswordFile string              `yaml:"password_file,omitempty"` // file with the password, read at each use
	CAFile       string              `yaml:"ca_file,omitempty"`       // file with the certificate authorities to trust instead of the system's
	Hello        string              `yaml:"hello,omitempty"`         // name to say in EHLO; default: the host's name
	Subject      string              `yaml:"subject,omitempty"`       // Go template with Alertmanager's functions and data; default: one subject for the whole thread
	HTML         string              `yaml:"html,omitempty"`          // Go template of the HTML part; what it fills in is escaped
	Text         string              `yaml:"text,omitempty"`          // Go template of the text part
	FallbackFor  string              `yaml:"fallback_for,omitempty"`  // name of the receiver that it stands in for (pagerduty, slack, a webhook or an e-mail): told only of what that one did not take for 30s, or refused
	Severities   []incident.Severity `yaml:"severities,omitempty"`    // which incidents are told; default P0, P1, P2, P3; every other severity once a person must act
}

// Statuspage publishes an incident on the public status page.
type Statuspage struct {
	URL         string `yaml:"url,omitempty"`          // base URL; default https://api.statuspage.io
	PageID      string `yaml:"page_id"`                // id of the page
	TokenFile   string `yaml:"token_file"`             // file with an API key
	ComponentID string `yaml:"component_id,omitempty"` // component whose status follows the incidents of targets that have none of their own
	// Components are the parts of the page that follow one target each.
	Components []StatuspageComponent `yaml:"components,omitempty"`
	// Publish is off (default; watchdog only says what it would post), ask (the first post of an incident waits for `watchdog publish ID`) or auto.
	Publish    Switch              `yaml:"publish,omitempty"`
	Severities []incident.Severity `yaml:"severities,omitempty"` // which incidents are published; default P0, P1
	// PendingFor is how long a state must last before it is published. Default 30s.
	PendingFor model.Duration `yaml:"pending_for,omitempty"`
	// ClearAfter is how long an incident must be over before that is published. Default 5m.
	ClearAfter model.Duration `yaml:"clear_after,omitempty"`
	// MinUpdateInterval is the least time between two updates of a component (INV-44). Default 5m.
	MinUpdateInterval model.Duration       `yaml:"min_update_interval,omitempty"`
	Templates         []StatuspageTemplate `yaml:"templates,omitempty"` // the texts; default: one prepared sentence per state
}

// StatuspageComponent is a part of the status page that follows a target.
type StatuspageComponent struct {
	Target string `yaml:"target"`         // name of the target; several may share a component
	ID     string `yaml:"id"`             // the component's id at Statuspage
	Name   string `yaml:"name,omitempty"` // what the public calls it: Checkout; default: the service
}

// StatuspageTemplate is what the public reads of a state. Beside plain words only {{ .Component }} and {{ .Since }} may stand in it.
type StatuspageTemplate struct {
	Severity  incident.Severity `yaml:"severity,omitempty"`  // whose text it is; default: any
	State     string            `yaml:"state"`               // investigating, identified, monitoring or resolved
	Name      string            `yaml:"name,omitempty"`      // title of the entry on the page, given once when it is posted; default Degraded service
	Body      string            `yaml:"body,omitempty"`      // default: a prepared sentence
	Automatic bool              `yaml:"automatic,omitempty"` // with `publish: ask`, post this without a person's word
}

// Rate is a count in a sliding window, written 3/1h.
type Rate struct {
	Count int
	Per   model.Duration
	set   bool // also a count of 0 may be meant
}

// Budget bounds ops in a sliding window, over all rules (INV-17).
type Budget struct {
	PerTarget    Rate `yaml:"per_target,omitempty"`    // ops on one target; default 3/1h
	PerNamespace Rate `yaml:"per_namespace,omitempty"` // ops in one namespace; default 5/1h
	Cluster      Rate `yaml:"cluster,omitempty"`       // ops in the cluster; default 10/1h
	// Pods is how many pods ops may disturb in the cluster, each counted with what it
	// disturbs at worst. One op that alone needs more may run when nothing else has used any. Default 200/1h.
	Pods       Rate `yaml:"pods,omitempty"`
	Concurrent int  `yaml:"concurrent,omitempty"` // ops in flight at once; default 2
	// MinInterval is the least time between the starts of two restarts or rollbacks,
	// plus up to half of it as jitter (INV-24). Default 10s.
	MinInterval model.Duration `yaml:"min_interval,omitempty"`
	// MaxUnhealthy is the share of watched targets in breach above which nothing
	// is done (INV-14): a storm, told with one page. Default 30%.
	MaxUnhealthy Quantity `yaml:"max_unhealthy,omitempty"`
	// StormFrom is how many targets must be in breach for a storm, whatever their share: of few targets a share says little. Default 5.
	StormFrom int `yaml:"storm_from,omitempty"`
}

// Guards holds the guards' numbers.
type Guards struct {
	// Cooldown after an op on a target before the next incident's. It doubles with
	// each incident within the window of quarantine. Default 5m.
	Cooldown model.Duration `yaml:"cooldown,omitempty"`
	// AvailabilityFloor is the share of desired replicas that must stay ready in
	// an action's worst case. Default 50%.
	AvailabilityFloor Quantity `yaml:"availability_floor,omitempty"`
	// SuspectWindow is how long after a rollout a breach is blamed on it. Default 30m.
	SuspectWindow model.Duration `yaml:"suspect_window,omitempty"`
	// GoodAfter is how long a revision must have been healthy to be a rollback target. Default 10m.
	GoodAfter model.Duration `yaml:"good_after,omitempty"`
	// HumanChange is how long watchdog keeps its hands off after a person changed the workload. Default 10m.
	HumanChange model.Duration `yaml:"human_change,omitempty"`
	// OwnChange is how long watchdog remembers its own changes: what somebody undid
	// is not done again, and no field goes back and forth (INV-23, INV-28). Default 1h.
	OwnChange model.Duration `yaml:"own_change,omitempty"`
	// StartupGrace is how long after watchdog replaced pods a breach that began
	// since then may be their start: nothing is replaced again (INV-10). Default 5m.
	StartupGrace model.Duration `yaml:"startup_grace,omitempty"`
	// Quarantine is in how many incidents watchdog may act on one target within a
	// window; then the target is left to people until one of them lifts it with
	// watchdog resume (INV-22). Default 3/6h.
	Quarantine Rate `yaml:"quarantine,omitempty"`
	// Approval is how long a plan of mode approve waits for a person's word before the ladder ends with a page. Default 1h.
	Approval model.Duration `yaml:"approval,omitempty"`
	// WaitLimit is how long a rung may be refused with "wait" before a person is paged. Default 10m.
	WaitLimit model.Duration `yaml:"wait_limit,omitempty"`
	// HoldLimit is how long what is in breach may stay under a hold or the kill switch before a person is paged. Default 30m.
	HoldLimit model.Duration `yaml:"hold_limit,omitempty"`
	// OutageTolerance is how long monitoring (a Prometheus that restarts, watchdog's own probes) may give nothing, on and off, before people are told. Nothing
	// is done to a workload meanwhile. Default 3m.
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

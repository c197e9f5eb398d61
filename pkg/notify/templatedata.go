package notify

import (
	"cmp"
	"strings"

	"github.com/prometheus/alertmanager/template"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/strutil"
)

// Limits of one text in a body: at first, and after the body was refused for its size.
const (
	MaxText      = 4096
	MaxTextShort = 120
)

// TemplateData is the incident in the words of Alertmanager: one alert per rule.
func TemplateData(receiver string, i incident.Incident, quick QuickReference, state string, limit int) *template.Data {
	text := func(s string) string { return strutil.Shorten(strutil.Visible(s), limit) }
	common := template.KV{"incident": i.ID, "target": i.Target.Name, "namespace": i.Target.Namespace,
		"workload": i.Target.Workload, "incident_severity": string(i.Severity)}
	notes := template.KV{"headline": text(Headline(i)), "next": text(Next(i)), "phase": Status(i),
		"why": "watchdog why " + i.ID}
	var links []string
	for _, l := range quick.Links {
		links = append(links, l.Name+": "+l.URL)
	}
	for name, v := range map[string]string{"contacts": strings.Join(quick.Contacts, "; "),
		"links": strings.Join(links, "; "), "reason": Reason(i), "answer": Answered(i), "maintenance": Maintained(i),
		"done": strings.Join(Actions(i), "; ")} {
		if v != "" {
			notes[name] = text(v)
		}
	}
	d := &template.Data{Receiver: receiver, Status: state, GroupLabels: template.KV{"incident": i.ID},
		CommonLabels: common, CommonAnnotations: notes, RouteLabels: template.KV{}, Alerts: template.Alerts{}}
	for _, a := range i.Alerts {
		x := template.Alert{Status: "resolved", Labels: template.KV{"alertname": a.Rule,
			"severity": string(a.Severity)}, Annotations: template.KV{"summary": text(cmp.Or(a.Was, a.Reason))},
			StartsAt: a.ActiveAt, Fingerprint: Digest([]string{i.ID, a.Rule})}
		if a.Firing {
			x.Status = "firing"
		} else {
			x.EndsAt = cmp.Or(i.ResolvedAt, a.EvaluatedAt)
		}
		if limit > MaxTextShort {
			x.GeneratorURL = a.Link
			if o := Object(a); o != "" {
				x.Annotations["labels"] = text(o)
			}
			for k, v := range a.Labels {
				if _, ours := x.Labels[k]; !ours {
					x.Labels[k] = text(v)
				}
			}
			for k, v := range a.Annotations {
				if _, ours := x.Annotations[k]; !ours {
					x.Annotations[k] = text(v)
				}
			}
		}
		for k, v := range common {
			if _, own := x.Labels[k]; !own || v != "" {
				x.Labels[k] = v
			}
		}
		for k, v := range notes {
			x.Annotations[k] = v
		}
		if d.Alerts = append(d.Alerts, x); limit <= MaxTextShort {
			break
		}
	}
	return d
}

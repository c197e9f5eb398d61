package review

import (
	"html/template"
	"io"
)

// HTML writes the review as one file that needs nothing else.
func (r Review) HTML(w io.Writer) error { return page.Execute(w, r) }

var page = template.Must(template.New("html").Funcs(functions).Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Post-Incident Review {{.ID}}</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c2530; background: #fff }
h1 { font-size: 1.5rem; margin-bottom: .2rem } h2 { font-size: 1.1rem; margin: 1.8rem 0 .5rem; border-bottom: 1px solid #d8dee6; padding-bottom: .2rem }
p.sub { color: #566; margin-top: 0 } b.severity { background: #b3261e; color: #fff; border-radius: .3rem; padding: .1rem .45rem; font-size: .85rem }
b.P2, b.P3 { background: #8a6d00 } table { border-collapse: collapse; width: 100% } table.facts th { width: 9rem } td, th { text-align: left; padding: .25rem .6rem .25rem 0; vertical-align: top; border-bottom: 1px solid #eef1f5 }
th { color: #566; font-weight: 600 } td.n, td.t, span.n { color: #667; white-space: nowrap; font-variant-numeric: tabular-nums } td.w { white-space: nowrap; font-weight: 600 }
.todo { color: #b3261e; font-style: italic } ul, ol { padding-left: 1.2rem } td, li, p { overflow-wrap: anywhere } a { color: #275ea3; text-decoration: none }
svg { width: 100%; margin: 1rem 0 } .grid { stroke: #e6eaf0 } .side { text-anchor: end; font-size: 11px; fill: #667 } .foot { text-anchor: middle; font-size: 11px; fill: #667 }
.bound { stroke: #b3261e; stroke-dasharray: 5 4 } .signal { fill: none; stroke: #275ea3; stroke-width: 1.8 } .mark { stroke: #8a6d00; stroke-opacity: .7 } .name { font-size: 11px; fill: #6b5500; stroke: #fff; stroke-width: 3px; paint-order: stroke }
</style>
<h1>Post-Incident Review - {{.Target}}</h1>
<p class="sub"><b class="severity {{.Severity}}">{{.Severity}}</b> {{.Title}} · {{.ID}}</p>
<table class="facts">
<tr><th>Date</th><td>{{day .Opened}}</td></tr>
<tr><th>Duration</th><td>{{if .Ended.IsZero}}ongoing{{else}}{{.Duration}}{{end}}</td></tr>
<tr><th>Impact</th><td>{{with .Impact}}{{.}}{{else}}<span class="todo">to be filled in</span>{{end}}</td></tr>
{{if not .Due.IsZero}}<tr><th>Review due</th><td>{{day .Due}}</td></tr>{{end}}
</table>
{{.SVG}}
<table><tr><th></th><th>at (UTC)</th><th>after</th><th>from</th></tr>
{{range .Marks}}<tr><td>{{.Name}}</td>{{if .At.IsZero}}<td colspan="3">{{.None}}</td>{{else}}<td class="t">{{when .At}}</td><td class="t">{{.After}}</td><td class="n">{{if .Row}}<a href="#row-{{.Row}}">[{{.Row}}]</a>{{end}}</td>{{end}}</tr>
{{end}}</table>
<p>Measurements:</p><ul>{{range .Measured}}<li>{{.}}</li>{{end}}</ul>
<h2>Changes before the incident</h2>
<ul>{{range .Before}}<li>{{.}}</li>{{else}}<li>Unknown.</li>{{end}}</ul>
<h2>Timeline</h2>
<table>{{range .Rows}}{{if and $.Dropped (eq .N (add 11 $.Dropped))}}<tr><td></td><td colspan="3">… {{$.Dropped}} entries are only in the audit record</td></tr>{{end}}
<tr id="row-{{.N}}"><td class="n">[{{.N}}]</td><td class="t">{{clock .At}}</td><td class="w">{{.Kind}}</td><td>{{.Text}}</td></tr>{{end}}
</table>
<h2>Actions</h2>
<ul>{{range .Done}}<li>{{.Summary}}: <b>{{.Verdict}}</b>{{with .Reason}} ({{.}}){{end}}{{if .Row}} <a href="#row-{{.Row}}">[{{.Row}}]</a>{{end}}</li>{{else}}<li>None.</li>{{end}}</ul>
<h2>Actions not taken, and why</h2>
<ul>{{range .Refused}}<li><a href="#row-{{.N}}">[{{.N}}]</a> {{.Text}}</li>{{else}}<li>None.</li>{{end}}
{{range .Last}}<li>last answer of guard {{.Guard}}: {{.Hold}}: {{.Reason}}</li>{{end}}</ul>
<h2>Notifications</h2>
<ul>{{range .Told}}<li>{{.Receiver}}: {{.State}}{{if not .At.IsZero}}, {{when .At}} UTC{{end}}{{with .Error}}, failed: {{.}}{{end}}</li>{{else}}<li>None.</li>{{end}}</ul>
<h2>Root Cause</h2>
{{if .RootCause}}{{range lines .RootCause}}<p>{{.}}</p>{{end}}{{else}}<p class="todo">to be filled in</p>{{end}}
<h2>Lessons</h2>
{{if .Lessons}}{{range lines .Lessons}}<p>{{.}}</p>{{end}}{{else}}<p class="todo">to be filled in</p>{{end}}
<h2>Action Items</h2>
<ol>{{range .ActionItems}}<li>{{if .Done}}☑{{else}}☐{{end}} {{.What}} ({{.Owner}}, due {{.Due}})</li>{{else}}<li class="todo">to be filled in</li>{{end}}</ol>
{{if or .Contacts .Links}}<h2>Quick reference</h2>
<ul>{{range .Contacts}}<li>{{.}}</li>{{end}}{{range .Links}}<li><a href="{{.URL}}">{{.Name}}</a></li>{{end}}</ul>
{{end}}</html>
`))

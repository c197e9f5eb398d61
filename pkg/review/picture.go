package review

import (
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"
)

// Picture is the signal over the incident.
type Picture struct {
	Name   string // of what is drawn
	Points []Point
	// Bound is beyond what it was bad; NaN: none is known.
	Bound float64
}

// Point is one value of the signal.
type Point struct {
	At    time.Time
	Value float64
}

// Size of the drawing's part under the names of the marks, and its margins, in pixels.
const (
	width, plot              = 900, 230
	left, right, floor, line = 60, 40, 40, 14
)

// label is a mark's name with its place.
type label struct {
	Mark
	x   float64
	row int
}

// labels finds a row for each name, so that they hide neither one another nor the signal.
func (r Review) labels(from, to time.Time, x func(time.Time) float64) (all []label, rows int) {
	var ends []float64 // of the last name in each row
	for _, m := range r.Marks {
		if m.At.IsZero() || m.At.Before(from) || m.At.After(to) {
			continue
		}
		l := label{Mark: m, x: x(m.At)}
		for l.row < len(ends) && ends[l.row] > l.x {
			l.row++
		}
		if l.row == len(ends) {
			ends = append(ends, 0)
		}
		ends[l.row] = l.x + 10 + 7*float64(len(m.Name))
		all = append(all, l)
	}
	return all, len(ends)
}

// nice is a round step that divides a span into about four.
func nice(span float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(span/4)))
	for _, f := range []float64{1, 2, 2.5, 5} {
		if span/(f*unit) <= 5 {
			return f * unit
		}
	}
	return 10 * unit
}

// spans are the steps of the time axis.
var spans = []time.Duration{time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute,
	2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour}

// stepOf is one of spans, or as many days, so that at most seven fit.
func stepOf(d time.Duration) time.Duration {
	for _, s := range spans {
		if d/s <= 7 {
			return s
		}
	}
	return (d/(7*24*time.Hour) + 1) * 24 * time.Hour
}

// SVG draws the signal with its bound and the moments of the response.
func (r Review) SVG() template.HTML {
	p := r.Picture
	if p == nil || len(p.Points) < 2 {
		return ""
	}
	from, to := p.Points[0].At, p.Points[len(p.Points)-1].At
	high, low := math.Inf(-1), 0.0
	for _, x := range p.Points {
		high, low = math.Max(high, x.Value), math.Min(low, x.Value)
	}
	if !math.IsNaN(p.Bound) {
		high, low = math.Max(high, p.Bound), math.Min(low, p.Bound)
	}
	if high <= low {
		high = low + 1
	}
	high += (high - low) / 20
	x := func(t time.Time) float64 {
		return left + (width-left-right)*float64(t.Sub(from))/math.Max(1, float64(to.Sub(from)))
	}
	marks, rows := r.labels(from, to, x)
	top := float64(6 + line*rows)
	bottom := top + plot - floor
	height := int(bottom) + floor
	y := func(v float64) float64 { return top + (bottom-top)*(high-v)/(high-low) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s over the incident">`, width, height,
		template.HTMLEscapeString(p.Name))
	for step, k := nice(high-low), math.Ceil(low/nice(high-low)); k*step <= high && k < math.Ceil(low/step)+10; k++ {
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" class="grid"/><text x="%d" y="%.1f" `+
			`class="side">%.4g</text>`, left, width-right, y(k*step), y(k*step), left-6, y(k*step)+4, k*step)
	}
	if !math.IsNaN(p.Bound) {
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" class="bound"/>`, left, width-right, y(p.Bound),
			y(p.Bound))
	}
	step := p.step()
	for k, pt := range p.Points {
		move := "L"
		if k == 0 {
			b.WriteString(`<path class="signal" d="`)
		}
		if k == 0 || pt.At.Sub(p.Points[k-1].At) > step*3/2 {
			move = "M" // nothing was measured in between
		}
		fmt.Fprintf(&b, "%s%.1f %.1f", move, x(pt.At), y(pt.Value))
	}
	b.WriteString(`"/>`)
	for _, m := range marks {
		anchor, shift := "start", 4.0
		if m.x > width-140 {
			anchor, shift = "end", -4
		}
		head := line * m.row
		fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%.1f" class="mark"/><text x="%.1f" y="%d" `+
			`text-anchor="%s" class="name">%s</text>`, m.x,
			m.x, head, bottom, m.x+shift, head+11, anchor, template.HTMLEscapeString(m.Name))
	}
	each := stepOf(to.Sub(from))
	for t := from.Truncate(each); !t.After(to); t = t.Add(each) {
		if t.Before(from) {
			continue
		}
		text := t.UTC().Format("15:04:05")
		if each >= 12*time.Hour {
			text = t.UTC().Format("2 Jan 15:04")
		}
		fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" class="grid"/><text x="%.1f" y="%.1f" `+
			`class="foot">%s</text>`, x(t), x(t), bottom, bottom+4, x(t), bottom+18, text)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" class="foot">%s, UTC</text></svg>`, width/2, height-4,
		template.HTMLEscapeString(p.Name))
	return template.HTML(b.String()) //nolint:gosec // every foreign text in it is escaped above
}

// step is the least distance of two points.
func (p *Picture) step() time.Duration {
	least := time.Duration(math.MaxInt64 / 4)
	for k := 1; k < len(p.Points); k++ {
		least = min(least, max(time.Millisecond, p.Points[k].At.Sub(p.Points[k-1].At)))
	}
	return least
}

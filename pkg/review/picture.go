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

// Size of the drawing, and its margins, in pixels.
const (
	width, height           = 900, 260
	left, right, top, floor = 60, 40, 20, 40
)

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
	high += (high - low) / 10
	x := func(t time.Time) float64 {
		return left + (width-left-right)*float64(t.Sub(from))/math.Max(1, float64(to.Sub(from)))
	}
	y := func(v float64) float64 { return top + (height-top-floor)*(high-v)/(high-low) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s over the incident">`, width, height, template.HTMLEscapeString(p.Name))
	for k := range 5 {
		v := low + (high-low)*float64(k)/4
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" class="grid"/><text x="%d" y="%.1f" class="side">%.4g</text>`, left, width-right, y(v), y(v), left-6, y(v)+4, v)
	}
	if !math.IsNaN(p.Bound) {
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" class="bound"/>`, left, width-right, y(p.Bound), y(p.Bound))
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
	last := -100.0
	row := 0
	for _, m := range r.Marks {
		if m.At.IsZero() || m.At.Before(from) || m.At.After(to) {
			continue
		}
		at := x(m.At)
		if row = row + 1; at-last > 110 {
			row = 0 // there is room beside the one before
		}
		last = at
		anchor, shift := "start", 4.0
		if at > width-140 {
			anchor, shift = "end", -4
		}
		fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" class="mark"/><text x="%.1f" y="%d" text-anchor="%s" class="name">%s</text>`, at, at, top, height-floor, at+shift, top+10+13*(row%6), anchor, template.HTMLEscapeString(m.Name))
	}
	for k := range 5 {
		t := from.Add(to.Sub(from) * time.Duration(k) / 4)
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" class="foot">%s</text>`, x(t), height-floor+18, t.UTC().Format("15:04:05"))
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" class="foot">%s, UTC</text></svg>`, width/2, height-4, template.HTMLEscapeString(p.Name))
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

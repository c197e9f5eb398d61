package review

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Revision is what is remembered of one revision of the workload.
type Revision struct {
	Number       int64
	SeenAt       time.Time
	GoodAt       time.Time // zero: it never counted as good
	RolledBackAt time.Time // when watchdog rolled it back
	Images       []string  // empty: not known any more
}

// before says what changed before the incident, as far as the revisions show: which
// was in use when it began, and what is different from the last good one.
func (r Review) before(all []Revision) []string {
	began := r.Marks[0].At
	var used, good *Revision
	for k := range all {
		x := &all[k]
		if !x.SeenAt.After(r.Opened) && (used == nil || x.SeenAt.After(used.SeenAt)) {
			used = x
		}
	}
	if used == nil {
		return nil
	}
	for k := range all {
		x := &all[k]
		if x != used && !x.GoodAt.IsZero() && !x.GoodAt.After(r.Opened) && x.SeenAt.Before(used.SeenAt) &&
			(good == nil || x.SeenAt.After(good.SeenAt)) {
			good = x
		}
	}
	text := fmt.Sprintf("Revision %d was in use, first seen at %s UTC, %s", used.Number, stamp(used.SeenAt),
		apart(began.Sub(used.SeenAt)))
	if !used.GoodAt.IsZero() && !used.GoodAt.After(r.Opened) {
		text += "; it was known to be good"
	}
	lines := []string{text}
	if !used.RolledBackAt.IsZero() {
		lines = append(lines, fmt.Sprintf("watchdog rolled back revision %d at %s UTC", used.Number,
			stamp(used.RolledBackAt)))
	}
	if good == nil {
		return append(lines, "No earlier good revision is known")
	}
	lines = append(lines, fmt.Sprintf("Last good revision before it: %d, good since %s UTC", good.Number,
		stamp(good.GoodAt)))
	if len(used.Images) > 0 && len(good.Images) > 0 {
		lines = append(lines, "Images: "+images(good.Images, used.Images))
	}
	return lines
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

func apart(d time.Duration) string {
	d = d.Round(time.Second)
	if d < 0 {
		return (-d).String() + " after the incident began"
	}
	return d.String() + " before the incident began"
}

// images is the difference of two revisions' images.
func images(was, is []string) string {
	less := func(a, b []string) string {
		return strings.Join(slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) }),
			", ")
	}
	gone, fresh := less(was, is), less(is, was)
	if gone == "" && fresh == "" {
		return "the same"
	}
	return fmt.Sprintf("%s became %s", or(gone, "nothing"), or(fresh, "nothing"))
}

func or(s, none string) string {
	if s == "" {
		return none
	}
	return s
}

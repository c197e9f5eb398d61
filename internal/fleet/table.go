package fleet

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// measure is one figure of a run.
type measure struct {
	name     string
	value    float64 // NaN: not known
	decimals int
}

// Column are the figures of one run.
type Column struct {
	name     string
	measures []measure
}

// Table has a column for each run.
type Table struct{ columns []Column }

// Add adds the figures of a run, also of one that failed later on.
func (t *Table) Add(c Column, err error) error {
	if len(c.measures) > 0 {
		t.columns = append(t.columns, c)
	}
	return err
}

// Print writes the table in Markdown: a row for each measure, a column for each run, and the
// factor from each run to the next if growth is wanted.
func (t *Table) Print(w io.Writer, growth bool) {
	if len(t.columns) == 0 {
		return
	}
	heads := []string{""}
	for i, c := range t.columns {
		if growth && i > 0 {
			heads = append(heads, "growth")
		}
		heads = append(heads, c.name)
	}
	fmt.Fprintf(w, "| %s |\n%s|\n", strings.Join(heads, " | "), strings.Repeat("|---", len(heads)))
	full := slices.MaxFunc(t.columns, func(a, b Column) int { return cmp.Compare(len(a.measures), len(b.measures)) })
	for k, m := range full.measures {
		cells := []string{m.name}
		for i, c := range t.columns {
			if growth && i > 0 {
				cells = append(cells, factor(t.columns[i-1].at(k).value, c.at(k).value))
			}
			cells = append(cells, c.at(k).String())
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
	}
}

// at is not known for what a run did not come to.
func (c Column) at(k int) measure {
	if k < len(c.measures) {
		return c.measures[k]
	}
	return measure{value: math.NaN()}
}

func (m measure) String() string {
	if math.IsNaN(m.value) {
		return "–"
	}
	return fmt.Sprintf("%.*f", m.decimals, m.value)
}

func factor(from, to float64) string {
	if from <= 0 || math.IsNaN(from) || math.IsNaN(to) {
		return ""
	}
	return fmt.Sprintf("× %.1f", to/from)
}

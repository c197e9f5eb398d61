package sim

import (
	"fmt"
	"slices"
)

// Catch is what first objected to a series of worlds, and after how much.
type Catch struct {
	// By names the invariants that were broken, "harmful" or "missed"; empty: nothing objected.
	By        []string
	Worlds    int
	Incidents int
	Text      string
}

// Hunt plays one scenario after the other until something objects or enough
// incidents were seen. One missed episode is no bug: a few in a hundred are.
func Hunt(first uint64, incidents int, scenario func(seed uint64) *Scenario) Catch {
	var c Catch
	var sum Score
	for seed := first; sum.Incidents < incidents; seed++ {
		r := Run(scenario(seed), nil)
		sum = sum.Add(r.Score)
		c.Worlds, c.Incidents = c.Worlds+1, sum.Incidents
		for _, v := range r.Violations {
			if !slices.Contains(c.By, v.Invariant) {
				c.By = append(c.By, v.Invariant)
			}
			if c.Text == "" {
				c.Text = fmt.Sprintf("seed %d: %s: %s", seed, v.Invariant, v.Text)
			}
		}
		if sum.Harmful > 0 {
			c.By = append(c.By, "harmful")
		}
		if float64(sum.Missed) > 0.02*float64(sum.Episodes)+2 {
			c.By = append(c.By, "missed")
		}
		if len(c.By) > 0 {
			slices.Sort(c.By)
			return c
		}
	}
	return c
}

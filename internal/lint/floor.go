package lint

import (
	"regexp"
	"slices"
)

// ofRequests are the usual names of what counts requests.
var ofRequests = regexp.MustCompile(`error|fail|success|request|http_|_5xx`)

func (c *checker) noFloor() {
	for _, r := range c.policy.Rules {
		t := c.threshold(r.Name)
		requests := slices.ContainsFunc(metrics(r.Text()), ofRequests.MatchString)
		if r.Unit == "ratio" && requests && len(r.Floor) == 0 && acts(t.Ladder) {
			c.add("threshold "+r.Name, "a ratio without a minimum leads to an action: with little traffic, one "+
				"failed request of two is 50%%; set min_rate or min_requests")
		}
	}
}

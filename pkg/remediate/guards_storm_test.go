package remediate

import "testing"

// TestFewTargetsInTroubleAreNoStorm: of few targets a share says little (issue 11, 6).
func TestFewTargetsInTroubleAreNoStorm(t *testing.T) {
	for _, tc := range []struct {
		name                string
		from, watched, sick int
		storm               bool
	}{
		{"two of three", 5, 3, 2, false},
		{"three of three", 5, 3, 3, false},
		{"four of six", 5, 6, 4, false},
		{"five of six", 5, 6, 5, true},
		{"five of twenty: a quarter", 5, 20, 5, false},
		{"seven of twenty: more than the share", 5, 20, 7, true},
		{"thirty of a hundred are the share", 5, 100, 30, false},
		{"thirty-one of a hundred", 5, 100, 31, true},
		{"two of three, where two are enough", 2, 3, 2, true},
		{"two of three, where nothing is said", 0, 3, 2, true},
		{"one of one, always", 0, 1, 1, false},
	} {
		s := Settings{MaxUnhealthy: 0.3, StormFrom: tc.from}
		if got := float64(tc.sick) > Believed(s, tc.watched); got != tc.storm {
			t.Errorf("%s: a storm: %v, want %v (at most %g are believed)", tc.name, got, tc.storm,
				Believed(s, tc.watched))
		}
	}
}

package rules

import "slices"

// kept are alerts of targets as they were made last, for a past that is lived through again:
// there each target in trouble is asked for several times between two evaluations.
type kept struct {
	thresholds, all map[string][]Alert
}

func (k *kept) of(target string, thresholds, rules func(string) []Alert) []Alert {
	all, known := k.all[target]
	if !known {
		own, known := k.thresholds[target]
		if !known {
			own = thresholds(target)
			if k.thresholds == nil {
				k.thresholds = map[string][]Alert{}
			}
			k.thresholds[target] = own
		}
		if k.all == nil {
			k.all = map[string][]Alert{}
		}
		all = slices.Concat(own, rules(target))
		k.all[target] = all
	}
	return slices.Clone(all)
}

// evaluated drops what an evaluation of the thresholds, or of a group, may have changed.
func (k *kept) evaluated(thresholds bool) {
	clear(k.all)
	if thresholds {
		clear(k.thresholds)
	}
}

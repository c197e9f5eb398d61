package probes

import (
	"fmt"
	"math"
)

// Usage is what one container uses of its limit, else of its request; NaN: not known.
type Usage struct {
	Pod, Container string
	CPU, Memory    float64
}

// CPU and Memory are the two sides of a Usage.
func CPU(u Usage) float64 { return u.CPU }

// Memory is the other side.
func Memory(u Usage) float64 { return u.Memory }

func plausible(v float64) bool { return v >= 0 && !math.IsInf(v, 1) }

// Worst returns the container that uses the most; false: none is known. A mean over
// all of them hides the one that is about to be killed.
func Worst(all []Usage, of func(Usage) float64) (Usage, bool) {
	k := -1
	for i, u := range all {
		if plausible(of(u)) && (k < 0 || of(u) > of(all[k])) {
			k = i
		}
	}
	if k < 0 {
		return Usage{}, false
	}
	return all[k], true
}

// Describe names the worst container and how many are above the bound; empty: not known.
func Describe(all []Usage, of func(Usage) float64, bound float64) string {
	u, known := Worst(all, of)
	if !known {
		return ""
	}
	n, above := 0, 0
	for _, x := range all {
		if plausible(of(x)) {
			n++
		}
		if of(x) > bound {
			above++
		}
	}
	return fmt.Sprintf("now %.4g%% in pod %s, container %s; %d of %d containers above %.4g%%", 100*of(u), u.Pod,
		u.Container, above, n, 100*bound)
}

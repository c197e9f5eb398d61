package snapshot

import "watchdog.io/watchdog/pkg/kube"

// busy is how much of their CPU the pods use: the mean of their busiest containers; nil: no
// pod tells.
func busy(usage []kube.ContainerUsage) *float64 {
	most := map[string]float64{}
	for _, u := range usage {
		if u.CPU >= 0 {
			most[u.Pod] = max(most[u.Pod], u.CPU)
		}
	}
	if len(most) == 0 {
		return nil
	}
	sum := 0.0
	for _, v := range most {
		sum += v
	}
	sum /= float64(len(most))
	return &sum
}

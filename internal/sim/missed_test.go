package sim

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestMissedOnes(t *testing.T) {
	if os.Getenv("MISSED") == "" {
		return
	}
	n := map[string]int{}
	for seed := range uint64(60) {
		for l := range strings.Lines(Story(Swarm(seed))) {
			if i := strings.Index(l, "MISSED: "); i > 0 {
				c := strings.Split(l[i+8:], " for ")[0]
				n[c]++
				if n[c] < 4 {
					fmt.Println(seed, l)
				}
			}
		}
	}
	fmt.Println(n)
}

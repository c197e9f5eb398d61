// Command harness plays simulated worlds until something objects, and prints
// what did, as JSON. internal/mutants builds it with one bug at a time: it links in
// half the time of the simulator's tests.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"

	"watchdog.io/watchdog/internal/sim"
)

func main() {
	incidents, err := strconv.Atoi(os.Args[len(os.Args)-1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "usage: harness INCIDENTS")
		os.Exit(2)
	}
	debug.SetGCPercent(400)
	if err := json.NewEncoder(os.Stdout).Encode(sim.Hunt(1, incidents, sim.Swarm)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

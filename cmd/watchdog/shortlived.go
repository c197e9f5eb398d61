package main

import (
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// briefGCPercent trades memory for time in commands that end within minutes: most of what they allocate is
// gone a moment later, and collecting it costs a third of their CPU time.
const briefGCPercent = 400

// shortLived sets the garbage collector for a command that ends, unless GOGC is set.
func shortLived(c *cobra.Command) *cobra.Command {
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if os.Getenv("GOGC") == "" {
			defer debug.SetGCPercent(debug.SetGCPercent(briefGCPercent))
		}
		return run(c, args)
	}
	return c
}

//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "testbed: runs on Linux only; see the README, \"Use it on your own cluster\"")
	os.Exit(1)
}

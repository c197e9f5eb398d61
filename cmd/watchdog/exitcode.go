package main

import (
	"errors"
)

// Exit codes.
const (
	exitFailed  = 1 // it could not be done, or the answer is no
	exitMisused = 2 // a flag or argument is wrong
)

// exitCode is what an error means to the shell.
func exitCode(err error) int {
	var misuse misused
	if errors.As(err, &misuse) {
		return exitMisused
	}
	return exitFailed
}

// misused marks an error of the person who typed the command.
type misused struct{ error }

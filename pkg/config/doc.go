// Package config is the configuration file: its shape, its defaults and what
// makes it valid.
//
// It owns everything that can be said about a file without a cluster or a
// server at hand. It leaves to app what only building can tell (PromQL
// that does not parse, templates, credentials).
//
// Its one rule: all errors at once, each with its file and line and what would
// be right; a file with one error changes nothing.
package config

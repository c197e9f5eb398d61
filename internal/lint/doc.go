// Package lint finds what is valid in a configuration and probably not meant. Each
// finding has a name, so that it can be ignored by it.
package lint

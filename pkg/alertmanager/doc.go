// Package alertmanager speaks Alertmanager's API v2: it reads which silences are
// in force, and makes, extends and ends silences of watchdog's own.
//
// It owns the requests, which of several peers is asked, and what is known while
// none answers. It leaves to others what a silence means: which alerts are
// held against it, and whether they may be remediated.
//
// Its one rule: an own silence is told by its author and its key, never by its id.
// Alertmanager gives a new id whenever it likes, and of a request whose answer was
// lost no id is known; who looks for the key finds what is there.
package alertmanager

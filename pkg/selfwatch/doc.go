// Package selfwatch asks whether watchdog itself still works, and lets somebody
// outside know as long as it does.
//
// It owns the canary, an alert that is made on purpose and must arrive, the heartbeat
// to a dead man's switch, how often this process crashed, and alerts of watchdog's own
// incident: a configuration that was refused, credentials that are missing, what is beyond a
// bound, holds that were forgotten. What is checked and who is notified is passed to it as
// functions.
//
// Its one rule: doubt is silence. The heartbeat is sent only while everything that
// is asked says yes; an answer that does not come is a no.
package selfwatch

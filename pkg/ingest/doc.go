// Package ingest is what other systems say about targets: the alerts of
// Alertmanager's webhook.
//
// It owns the payload, the journal of what was accepted, and the present state
// of each alert. It leaves HTTP to pkg/web, and to its reader what an alert means
// for a target.
//
// Its one rule: an alert from outside is a hint, never proof. It is accepted once
// it is on disk and not before (INV-51); order, repetition and loss change when
// its final state is known, not what that state is (INV-16).
package ingest

package incident

// Canary is the name of the synthetic target: an alert on it every few minutes checks that
// alerts get from a sample to a receiver. It leads to no action and no notification and is
// not stored. No target of a configuration can have this name.
const Canary = "watchdog canary"

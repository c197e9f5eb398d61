package incident

// Canary is the name of the target that no workload stands behind: the alert on it
// is made every few minutes to see whether an alert still gets from a sample to a
// receiver. Nothing is ever done about it, nobody is told, and it is not stored. No
// target of a configuration can have this name.
const Canary = "watchdog canary"

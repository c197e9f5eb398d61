package incident

// ConfigRefused is the alert of watchdog's own incident on a configuration that was
// not loaded. `watchdog status` looks for it.
const ConfigRefused = "config_refused"

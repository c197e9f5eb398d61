package rules

import (
	"time"
)

// Judged returns when all rules were last gone through: of several sources, the one
// that lags most. Zero: not yet.
func (j *Judge) Judged() time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	var oldest time.Time
	for k, s := range j.sources {
		if k == 0 || s.judged.Before(oldest) {
			oldest = s.judged
		}
	}
	return oldest
}

package notify

import (
	"testing"

	"watchdog.io/watchdog/internal/notifytest"
	"watchdog.io/watchdog/pkg/config"
)

// TestEveryMessageSaysWhichObjectItIsAbout_X71: the data that all templates are given.
func TestEveryMessageSaysWhichObjectItIsAbout_X71(t *testing.T) {
	i := notifytest.Filling()
	notifytest.SaysItsObject(t, notifytest.JSON(t, TemplateData("hook", i, NewQuickReference(&config.Config{}).Of(i),
		"firing", MaxText)))
}

// TestNothingIsSaidOfWhatIsNoWorkload_X80: such an incident has no kind and no name.
func TestNothingIsSaidOfWhatIsNoWorkload_X80(t *testing.T) {
	notifytest.SaysNoEmptyWorkload(t, TemplateData("hook", notifytest.Filling(), QuickReference{}, "firing", MaxText))
}

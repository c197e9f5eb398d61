package lint

import "fmt"

// openFile looks at permissions. It is a finding and no error: a file that is checked
// in a pipeline often has other permissions there than where it is used.
func (c *checker) openFile() {
	refused, readable := c.cfg.Exposed()
	for _, p := range refused {
		c.add(where(p.Path, p.File), "%s; watchdog run rejects it", p.Message)
	}
	for _, p := range readable {
		c.add(where(p.Path, p.File), "%s", p.Message)
	}
}

// where names a file by the option that names it.
func where(option, file string) string {
	if option == "" {
		return "file " + file
	}
	return fmt.Sprintf("%s %s", option, file)
}

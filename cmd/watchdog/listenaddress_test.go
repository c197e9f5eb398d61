package main

import "testing"

// $(POD_IP) has no brackets where pods have IPv6 addresses.
func TestAddressesOfPods_X51(t *testing.T) {
	for text, want := range map[string]string{
		":9095":                   ":9095",
		"10.0.0.7:9095":           "10.0.0.7:9095",
		"[fd00::5]:9095":          "[fd00::5]:9095",
		"fd00::5:9095":            "[fd00::5]:9095",
		"fd00:1:2:3:4:5:6:7:9095": "[fd00:1:2:3:4:5:6:7]:9095",
		"":                        "", "localhost:9095": "localhost:9095", "::1:9095": "[::1]:9095", "9095": "-",
		":http": "-", ":0": "-", ":99999": "-", "a:b:c": "-",
	} {
		got, err := listenAddress("web.listen-address", text)
		if err != nil && (want != "-" || exitCode(err) != exitMisused) || err == nil && got != want {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"":                                 "",
		"http://10.0.0.7:9095":             "http://10.0.0.7:9095",
		"http://fd00::5:9095":              "http://[fd00::5]:9095",
		"https://[fd00::5]:9095":           "https://[fd00::5]:9095",
		"http://watchdog-0.watchdog:9095/": "http://watchdog-0.watchdog:9095",
		"http://:9095":                     "-",
		"10.0.0.7:9095":                    "-",
		"ftp://10.0.0.7:9095":              "-",
		"http://10.0.0.7":                  "-",
		"http://10.0.0.7:9095/path":        "-",
		"http://u:p@10.0.0.7:9095":         "-",
		"http://$(POD_IP):9095":            "-",
		"http://fd00::5":                   "-",
		"http://0.0.0.0:9095":              "-",
		"http://[::]:9095":                 "-",
		"http://10.0.0.7:9095?x":           "-",
	} {
		got, err := advertisedURL(text)
		if err != nil && (want != "-" || exitCode(err) != exitMisused) || err == nil && got != want {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
}

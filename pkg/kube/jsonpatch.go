package kube

import "encoding/json"

// edit is an operation of a JSON patch (RFC 6902).
type edit struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// under makes a patch hold only for the version of an object that was read.
func under(version string) edit { return edit{"replace", "/metadata/resourceVersion", version} }

func patchOf(edits ...edit) ([]byte, error) { return json.Marshal(edits) }

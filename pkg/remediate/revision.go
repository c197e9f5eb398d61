package remediate

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// currentRevision returns the revision of the workload's template: the one with
// the same template, else the one with the highest number once the controller
// has seen the newest generation. Numbers alone would not do: a rollback gives an
// old ReplicaSet the highest number, and it keeps its uid.
func currentRevision(w Workload) (Revision, bool) {
	var same, highest Revision
	for _, r := range w.Revisions {
		if r.UID == "" {
			continue
		}
		if equalTemplates(r.Template, w.Template, false) && r.Number >= same.Number {
			same = r
		}
		if r.Number >= highest.Number {
			highest = r
		}
	}
	switch {
	case same.UID != "":
		return same, true
	case w.Observed >= w.Generation && highest.UID != "":
		return highest, true
	}
	return Revision{}, false
}

// sameRelease reports whether two revisions differ in nothing but restarts.
// Each restart makes a revision of its own, and neither proves nor
// introduces anything.
func sameRelease(a, b Revision) bool {
	return a.UID == b.UID || equalTemplates(a.Template, b.Template, true)
}

// releasedAt returns when the revision's release last became current: the first of
// the revisions, without another release in between, that differ from it only by
// restarts.
func releasedAt(f Facts, current Revision) time.Time {
	var first time.Time
	newestFirst := slices.SortedFunc(slices.Values(f.Workload.Revisions),
		func(a, b Revision) int { return cmp.Compare(b.Number, a.Number) })
	for _, r := range newestFirst {
		switch {
		case r.Number > current.Number:
			continue
		case !sameRelease(r, current):
			return first
		}
		if at := currentSince(f.Records, r); !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// currentSince is when the revision last became current. Its ReplicaSet may be much
// older: deploying an old template again reuses the old ReplicaSet. Without a record,
// it is the creation of the ReplicaSet, or when it was first observed.
func currentSince(records []Record, r Revision) time.Time {
	rec, _ := record(records, r.UID)
	switch {
	case rec.CurrentAt.After(r.CreatedAt):
		return rec.CurrentAt
	case !r.CreatedAt.IsZero():
		return r.CreatedAt
	}
	return rec.SeenAt
}

func record(records []Record, uid string) (Record, bool) {
	for _, r := range records {
		if r.UID == uid {
			return r, true
		}
	}
	return Record{}, false
}

// describe names a revision for display: "3 (agent-system:v2.1.5)".
func describe(r Revision) string {
	images := make([]string, 0, len(r.Images))
	for _, i := range r.Images {
		images = append(images, shortImage(i))
	}
	if len(images) == 0 {
		return fmt.Sprint(r.Number)
	}
	return fmt.Sprintf("%d (%s)", r.Number, strings.Join(images, ", "))
}

// shortImage drops registry and path, and all but the beginning of a digest.
func shortImage(image string) string {
	s := image[strings.LastIndex(image, "/")+1:]
	if name, digest, ok := strings.Cut(s, "@"); ok {
		s = name + "@" + digest[:min(len(digest), len("sha256:")+12)]
	}
	return s
}

// list joins items for a sentence, bounded.
func list(items []string) string {
	const limit = 5
	if len(items) > limit {
		return fmt.Sprintf("%s and %d more", strings.Join(items[:limit], "; "), len(items)-limit)
	}
	return strings.Join(items, "; ")
}

// equalTemplates compares two pod templates by content, ignoring restarts if requested.
// An unreadable template equals no other.
func equalTemplates(a, b json.RawMessage, ignoreRestarts bool) bool {
	x, errX := canonicalTemplate(a, ignoreRestarts)
	y, errY := canonicalTemplate(b, ignoreRestarts)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

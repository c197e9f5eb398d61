package kube

import (
	"slices"

	"watchdog.io/watchdog/pkg/incident"
)

// maxInterned bounds the texts that are kept to be shared.
const maxInterned = 10_000

// interner keeps each text once: of thousands of incidents, rules, kinds and people are the same few.
type interner map[string]string

func shared[S ~string](in interner, s *S) {
	if kept, ok := in[string(*s)]; ok {
		*s = S(kept)
	} else if len(in) < maxInterned {
		in[string(*s)] = string(*s)
	}
}

// slim takes from a decoded incident the room that decoding left for more, and its own copies of texts that
// many incidents have: a third of its memory, and a leader may hold thousands.
func (in interner) slim(i *incident.Incident) {
	shared(in, &i.Phase)
	shared(in, &i.Severity)
	shared(in, &i.Lead)
	shared(in, &i.PageReason)
	i.Timeline = exact(i.Timeline)
	for k := range i.Timeline {
		e := &i.Timeline[k]
		shared(in, &e.Kind)
		shared(in, &e.Rule)
		shared(in, &e.By.By)
		shared(in, &e.By.Source)
	}
	i.Alerts = exact(i.Alerts)
	for k := range i.Alerts {
		a := &i.Alerts[k]
		shared(in, &a.Rule)
		shared(in, &a.Severity)
		shared(in, &a.Verdict)
		shared(in, &a.Unit)
		shared(in, &a.Source)
		a.Recent, a.Ladder, a.Keys = exact(a.Recent), exact(a.Ladder), exact(a.Keys)
	}
	i.Attempts, i.Answers = exact(i.Attempts), exact(i.Answers)
	for k := range i.Answers {
		shared(in, &i.Answers[k].Guard)
	}
}

// exact is a slice without room for more.
func exact[S ~[]E, E any](s S) S {
	if len(s) == cap(s) {
		return s
	}
	return slices.Concat(make(S, 0, len(s)), s)
}

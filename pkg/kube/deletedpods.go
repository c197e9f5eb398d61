package kube

import (
	"sync"
	"time"

	"k8s.io/client-go/tools/cache"
)

const (
	// departedFor is how long it is remembered whose a deleted pod was. Alerts often
	// name one: increase(...[15m]) and evictions are about pods that are gone.
	departedFor = time.Hour
	// maxDeparted bounds the memory in one namespace.
	maxDeparted = 20_000
)

// departed remembers the controllers of deleted objects for a while.
type departed struct {
	mu  sync.Mutex
	all map[string]departure // by resource/name
}

type departure struct {
	at  time.Time
	ref controllerRef
}

// watch remembers what an informer sees deleted.
func (d *departed) watch(i cache.SharedIndexInformer, resource string) {
	// It cannot fail before the informer runs.
	_, _ = i.AddEventHandler(cache.ResourceEventHandlerFuncs{DeleteFunc: func(o any) {
		d.deleted(resource, o,
			time.Now())
	}})
}

// deleted takes what an informer hands over when an object is gone.
func (d *departed) deleted(resource string, o any, now time.Time) {
	if unknown, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = unknown.Obj
	}
	if k, ok := keptIn(o); ok && k.controller.kind != "" {
		d.add(resource+"/"+k.name, k.controller, now)
	}
}

func (d *departed) add(key string, ref controllerRef, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.all == nil {
		d.all = map[string]departure{}
	}
	if len(d.all) >= maxDeparted {
		// First what is too old, then the older half.
		for _, age := range []time.Duration{departedFor, departedFor / 2, departedFor / 8, 0} {
			for k, x := range d.all {
				if now.Sub(x.at) >= age {
					delete(d.all, k)
				}
			}
			if len(d.all) < maxDeparted {
				break
			}
		}
	}
	d.all[key] = departure{now, ref}
}

// controllerOf returns the controller of the deleted object; empty if it is no longer remembered.
func (d *departed) controllerOf(key string, now time.Time) controllerRef {
	d.mu.Lock()
	defer d.mu.Unlock()
	x, known := d.all[key]
	if !known {
		return controllerRef{}
	}
	if now.Sub(x.at) >= departedFor {
		delete(d.all, key)
		return controllerRef{}
	}
	return x.ref
}

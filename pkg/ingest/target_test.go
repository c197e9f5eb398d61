package ingest

import (
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
)

// of reads labels written as a=b,c=d.
func of(text string) labels.Labels {
	b := labels.NewBuilder(labels.FromStrings("alertname", "A"))
	for pair := range strings.SplitSeq(text, ",") {
		k, v, _ := strings.Cut(pair, "=")
		b.Set(k, v)
	}
	return b.Labels()
}

var shopAndOthers = []Workload{
	{Target: "cart", Namespace: "shop", Kind: "deployment", Name: "cart", Service: "cart"},
	{Target: "cart-db", Namespace: "shop", Kind: "statefulset", Name: "cart-db"},
	{Target: "logs", Namespace: "shop", Kind: "daemonset", Name: "cart-logs"},
	{Target: "long", Namespace: "shop", Kind: "deployment", Name: strings.Repeat("x", 50)},
	{Target: "longer", Namespace: "shop", Kind: "deployment", Name: strings.Repeat("y", 60)},
	{Target: "metrics", Namespace: "monitoring", Kind: "deployment", Name: "kube-state-metrics"},
}

// TestAPodIsFoundByItsName_X03_X04: of a pod that nobody remembers only the name is
// left. It is read as Kubernetes makes it, and not as a prefix.
func TestAPodIsFoundByItsName_X03_X04(t *testing.T) {
	r := NewResolver(shopAndOthers, nil)
	for pod, want := range map[string]string{
		"cart-7d9f8c6b5-x2x9z":                    "cart",
		"cart-bcdfg-x2x9z":                        "cart",
		"cart-7d9f8c6b5-abcde":                    "", // a and e are never generated
		"cart-api-7d9f8c6b5-x2x9z":                "",
		"cart-worker-x2x9z":                       "", // of a DaemonSet cart-worker
		"cart-migrate-x2x9z":                      "", // of a Job cart-migrate
		"cart-28999999-x2x9z":                     "", // of a CronJob cart
		"cart-x2x9z":                              "",
		"cart-7d9f8c6b5":                          "",
		"cart-0":                                  "",
		"cart-db-0":                               "cart-db",
		"cart-db-10":                              "cart-db",
		"cart-db-01":                              "",
		"cart-db-6c9d8f7b4d-x2x9z":                "",
		"cart-db-backup-28999999-x2x9z":           "",
		"cart-logs-x2x9z":                         "logs",
		"cart-logs-7d9f8c6b5-x2x9z":               "",
		"cartographer-7d9f8c6b5-x2x9z":            "",
		strings.Repeat("x", 50) + "-7d9f8c6x2x9z": "long", // the hash was cut
		strings.Repeat("y", 58) + "x2x9z":         "longer",
		"":                                        "",
	} {
		got, watched := r.Target(of("namespace=shop,pod=" + pod))
		if !watched {
			got = ""
		}
		if got != want {
			t.Errorf("pod %s is %q's, want %q", pod, got, want)
		}
	}
}

// What the cluster says counts more than a name.
func TestTheOwnerOfAPodCountsMoreThanItsName_X03(t *testing.T) {
	owner := func(_, pod string) (string, string, bool) {
		switch pod {
		case "cart-bcdfg-x2x9z":
			return "daemonset", "cart-bcdfg", true
		case "strange":
			return "deployment", "cart", true
		}
		return "", "", false
	}
	r := NewResolver(shopAndOthers, owner)
	for pod, want := range map[string]string{"cart-bcdfg-x2x9z": "not watched: A in shop", "strange": "cart",
		"cart-db-0": "cart-db"} {
		if got, _ := r.Target(of("namespace=shop,pod=" + pod)); got != want {
			t.Errorf("%s: %q, want %q", pod, got, want)
		}
	}
	if !r.NeedsOwner(of("namespace=shop,pod=x")) || r.NeedsOwner(of("namespace=shop,pod=x,deployment=cart")) ||
		r.NeedsOwner(of("namespace=other,pod=x")) || r.NeedsOwner(of("namespace=shop")) {
		t.Error("who needs an owner is wrong")
	}
}

// TestLabelsOfAnExporterAreNotTheObjects_X61: without honor_labels the pod and the
// namespace are kube-state-metrics' own.
func TestLabelsOfAnExporterAreNotTheObjects_X61(t *testing.T) {
	r := NewResolver(shopAndOthers, nil)
	for text, want := range map[string]string{
		"namespace=monitoring,pod=kube-state-metrics-7d9f8c6b5-x2x9z,exported_namespace=shop,exported_pod=cart-db-0": "cart-db",
		"namespace=monitoring,pod=kube-state-metrics-7d9f8c6b5-x2x9z,exported_namespace=shop,deployment=cart":        "cart",
		"namespace=monitoring,service=kube-state-metrics,exported_namespace=shop,exported_service=cart":              "cart",
		"namespace=monitoring,pod=kube-state-metrics-7d9f8c6b5-x2x9z,exported_namespace=other," +
			"exported_pod=x": "not watched: A in other",
		"namespace=monitoring,pod=kube-state-metrics-7d9f8c6b5-x2x9z,exported_namespace=a-tenant-of-the-application": "metrics",
		"namespace=monitoring,pod=kube-state-metrics-7d9f8c6b5-x2x9z":                                                "metrics",
	} {
		if got, _ := r.Target(of(text)); got != want {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
	}
}

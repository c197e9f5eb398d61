package kube

import (
	"cmp"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/version"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/dynamic"
	appsv1 "k8s.io/client-go/kubernetes/typed/apps/v1"
	authenticationv1 "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationv1 "k8s.io/client-go/kubernetes/typed/authorization/v1"
	autoscalingv2 "k8s.io/client-go/kubernetes/typed/autoscaling/v2"
	batchv1 "k8s.io/client-go/kubernetes/typed/batch/v1"
	coordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	discoveryv1 "k8s.io/client-go/kubernetes/typed/discovery/v1"
	policyv1 "k8s.io/client-go/kubernetes/typed/policy/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/flowcontrol"
)

// requestTimeout bounds every call that is no watch, retries included.
const requestTimeout = 10 * time.Second

// FieldManager is how watchdog's writes are named in managedFields.
const FieldManager = "watchdog"

// Client holds the narrow clients. It is made by Connect and safe for use by
// several goroutines.
type Client struct {
	apps        appsv1.AppsV1Interface
	core        corev1.CoreV1Interface
	autoscaling autoscalingv2.AutoscalingV2Interface
	policy      policyv1.PolicyV1Interface
	batch       batchv1.BatchV1Interface
	discovery   discoveryv1.DiscoveryV1Interface
	leases      coordinationv1.CoordinationV1Interface
	identity    authenticationv1.AuthenticationV1Interface
	access      authorizationv1.AuthorizationV1Interface
	dynamic     dynamic.Interface
	custom      rest.Interface // watchdog's own kinds, where dynamic costs too much memory
	watches     watchClients
	fence       *fence
	requests    *prometheus.CounterVec
}

// watchClients are the clients that lists and watches of informers go through.
type watchClients struct {
	apps        rest.Interface
	core        rest.Interface
	autoscaling rest.Interface
	discovery   rest.Interface
}

// Connect makes the clients. With an empty kubeconfig and context, and outside
// of a $KUBECONFIG, a pod's own account is used if there is one; else the usual
// rules apply ($KUBECONFIG, ~/.kube/config). It sends nothing.
func Connect(kubeconfig, context string) (*Client, error) {
	cfg, err := load(kubeconfig, context)
	if err != nil {
		return nil, err
	}
	return connect(cfg)
}

func load(kubeconfig, context string) (*rest.Config, error) {
	if kubeconfig == "" && context == "" && os.Getenv(clientcmd.RecommendedConfigPathEnvVar) == "" {
		if cfg, err := rest.InClusterConfig(); err == nil {
			return cfg, nil
		}
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	cfg, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules,
		&clientcmd.ConfigOverrides{CurrentContext: context}).ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, fmt.Errorf("no cluster found: no service account is mounted and there is no kubeconfig; set " +
			"--kubeconfig or $KUBECONFIG")
	}
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig %s: %w", cmp.Or(kubeconfig, "(default)"), err)
	}
	return cfg, nil
}

func connect(cfg *rest.Config) (*Client, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.UserAgent = "watchdog/" + cmp.Or(version.Version, "dev")
	cfg.WarningHandler = rest.NoWarnings{}
	c := &Client{fence: &fence{}, requests: newRequests()}
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return transport{next: next, fence: c.fence, requests: c.requests}
	})
	h, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("make client for %s: %w", cfg.Host, err)
	}
	err = firstError(
		func() error { return c.makeRequests(limited(cfg, newLanes()), h) },
		func() error {
			return c.makeWatches(limited(cfg, flowcontrol.NewTokenBucketRateLimiter(watchQPS, watchBurst)), h)
		},
		func() (err error) {
			c.leases, err = coordinationv1.NewForConfigAndClient(limited(cfg,
				flowcontrol.NewTokenBucketRateLimiter(leaseQPS, leaseBurst)), h)
			return err
		},
	)
	if err != nil {
		return nil, fmt.Errorf("make client for %s: %w", cfg.Host, err)
	}
	return c, nil
}

func (c *Client) makeRequests(cfg *rest.Config, h *http.Client) error {
	return firstError(
		func() (err error) { c.apps, err = appsv1.NewForConfigAndClient(cfg, h); return err },
		func() (err error) { c.core, err = corev1.NewForConfigAndClient(cfg, h); return err },
		func() (err error) { c.autoscaling, err = autoscalingv2.NewForConfigAndClient(cfg, h); return err },
		func() (err error) { c.policy, err = policyv1.NewForConfigAndClient(cfg, h); return err },
		func() (err error) { c.batch, err = batchv1.NewForConfigAndClient(cfg, h); return err },
		func() (err error) { c.discovery, err = discoveryv1.NewForConfigAndClient(cfg, h); return err },
		func() (err error) { c.identity, err = authenticationv1.NewForConfigAndClient(cfg, h); return err },
		func() (err error) { c.access, err = authorizationv1.NewForConfigAndClient(cfg, h); return err },
		func() (err error) { c.dynamic, err = dynamic.NewForConfigAndClient(cfg, h); return err },
		func() (err error) { c.custom, err = customClient(cfg, h); return err },
	)
}

// customClient is a client for watchdog's own kinds that decodes into types of this package.
func customClient(cfg *rest.Config, h *http.Client) (rest.Interface, error) {
	own := rest.CopyConfig(cfg)
	own.APIPath, own.GroupVersion = "/apis", &schema.GroupVersion{Group: group, Version: apiVersion}
	scheme := runtime.NewScheme()
	scheme.AddKnownTypeWithName(own.GroupVersion.WithKind("Incident"), &followed{})
	metav1.AddToGroupVersion(scheme, *own.GroupVersion)
	own.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	own.ContentType, own.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	return rest.RESTClientForConfigAndClient(own, h)
}

func (c *Client) makeWatches(cfg *rest.Config, h *http.Client) error {
	apps, err1 := appsv1.NewForConfigAndClient(cfg, h)
	core, err2 := corev1.NewForConfigAndClient(cfg, h)
	autoscaling, err3 := autoscalingv2.NewForConfigAndClient(cfg, h)
	discovery, err4 := discoveryv1.NewForConfigAndClient(cfg, h)
	if err := cmp.Or(err1, err2, err3, err4); err != nil {
		return err
	}
	c.watches = watchClients{apps: apps.RESTClient(), core: core.RESTClient(), autoscaling: autoscaling.RESTClient(),
		discovery: discovery.RESTClient()}
	return nil
}

func firstError(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

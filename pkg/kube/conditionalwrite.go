package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"watchdog.io/watchdog/pkg/incident"
	"watchdog.io/watchdog/pkg/remediate"
)

// Writer is the one way to change a workload.
type Writer struct {
	c            *Client
	installation string
}

// NewWriter returns a writer that claims what it writes for the installation (INV-29).
func NewWriter(c *Client, installation string) *Writer {
	return &Writer{c: c, installation: installation}
}

// Write sends exactly one request for the plan, carrying opID, and says what
// became of it. It never sends again: an Unknown outcome is resolved by Find.
//
//   - Applied: the API server accepted it.
//   - Conflicted: the object is not, or no longer, what the plan expects.
//   - Denied: forbidden, invalid, or refused by admission.
//   - Unsent: certainly never sent; the error says why.
//   - Unknown: sent, and nothing proves what became of it.
func (w *Writer) Write(ctx context.Context, opID string, plan incident.Plan) (incident.Outcome, error) {
	req, err := w.request(opID, plan)
	if err != nil {
		return incident.Unsent, fmt.Errorf("write %s of op %s: %w", plan.Object.Resource, opID, err)
	}
	ctx, sent := noteSent(ctx)
	status := 0
	// Another request would be a second effect, so client-go must not retry.
	err = req.MaxRetries(0).Do(ctx).StatusCode(&status).Error()
	if apierrors.IsAlreadyExists(err) {
		return w.duplicate(ctx, opID, plan, err)
	}
	return outcome(sent.Load(), status, err), explain(requestOf(plan), err)
}

func requestOf(plan incident.Plan) request {
	r := request{"patch", plan.Object.Resource + "." + plan.Object.Group, plan.Object.Namespace, plan.Object.Name}
	if len(plan.Create) > 0 {
		r.verb = "create"
	}
	return r
}

// request builds the one request, or refuses a plan that cannot be written safely.
func (w *Writer) request(opID string, plan incident.Plan) (*rest.Request, error) {
	o := plan.Object
	client, err := w.c.writable(o)
	if err != nil {
		return nil, err
	}
	switch {
	case opID == "":
		return nil, errors.New("refused: the op has no id")
	case (len(plan.Patch) > 0) == (len(plan.Create) > 0):
		return nil, errors.New("refused: the plan must have either a patch or an object to create")
	case o.Namespace == "" || o.Name == "":
		return nil, errors.New("refused: the plan has no object")
	case len(plan.Create) > 0 && o.Resource != "jobs", len(plan.Patch) > 0 && o.Resource == "jobs":
		return nil, fmt.Errorf("refused: watchdog only creates Jobs and patches workloads; unexpected operation for %s",
			o.Resource)
	case len(plan.Patch) > 0 && (o.UID == "" || o.ResourceVersion == ""):
		return nil, fmt.Errorf("refused: write without preconditions: uid %q, resourceVersion %q (INV-03)", o.UID,
			o.ResourceVersion)
	}
	if len(plan.Create) > 0 {
		body, err := labelled(plan.Create, opID, o)
		if err != nil {
			return nil, err
		}
		return client.Post().Namespace(o.Namespace).Resource(o.Resource).Param("fieldManager", FieldManager).
			SetHeader("Content-Type", "application/json").SetHeader("Accept", "application/json").Body(body), nil
	}
	body, err := w.conditional(plan.Patch, opID, o)
	if err != nil {
		return nil, err
	}
	return client.Patch(types.MergePatchType).Namespace(o.Namespace).Resource(o.Resource).Name(o.Name).Param("fieldManager", FieldManager).
		SetHeader("Accept", "application/json").Body(body), nil
}

// writable returns the client for the few resources that may be written.
func (c *Client) writable(o incident.Object) (rest.Interface, error) {
	switch o.Group + "/" + o.Version + "/" + o.Resource {
	case "apps/v1/deployments":
		return c.apps.RESTClient(), nil
	case "autoscaling/v2/horizontalpodautoscalers":
		return c.autoscaling.RESTClient(), nil
	case "batch/v1/jobs":
		return c.batch.RESTClient(), nil
	}
	return nil, fmt.Errorf("refused: watchdog does not write %s of group %q", o.Resource, o.Group)
}

// conditional adds the precondition, the op and the claim to a merge patch. A
// plan must not touch the metadata itself.
func (w *Writer) conditional(patch []byte, opID string, o incident.Object) ([]byte, error) {
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(patch, &doc); err != nil {
		return nil, fmt.Errorf("refused: read patch: %w", err)
	}
	for key := range doc {
		if key != "spec" {
			return nil, fmt.Errorf("refused: the patch changes %s; only spec may be changed", key)
		}
	}
	annotations := map[string]string{remediate.OpAnnotation: opID}
	if w.installation != "" {
		annotations[remediate.ClaimAnnotation] = w.installation
	}
	meta, err := json.Marshal(map[string]any{"uid": o.UID, "resourceVersion": o.ResourceVersion,
		"annotations": annotations})
	if err != nil {
		return nil, fmt.Errorf("refused: write metadata: %w", err)
	}
	doc["metadata"] = meta
	return json.Marshal(doc)
}

// labelled checks that the object to create is the one that the plan names, and
// that it carries the op.
func labelled(create []byte, opID string, o incident.Object) ([]byte, error) {
	var doc struct {
		Metadata metav1.ObjectMeta `json:"metadata"`
	}
	if err := json.Unmarshal(create, &doc); err != nil {
		return nil, fmt.Errorf("refused: read object to create: %w", err)
	}
	m := doc.Metadata
	if m.Name != o.Name || m.Namespace != o.Namespace || m.Labels[remediate.OpLabel] != opID {
		return nil, fmt.Errorf("refused: the object to create is %s/%s of op %q, the plan says %s/%s of op %q",
			m.Namespace, m.Name, m.Labels[remediate.OpLabel], o.Namespace, o.Name, opID)
	}
	return create, nil
}

// outcome sorts the answer to a request by what it proves.
func outcome(sent bool, status int, err error) incident.Outcome {
	var said apierrors.APIStatus
	switch {
	case err == nil:
		return incident.Applied
	case !sent:
		return incident.Unsent
	case status >= 200 && status < 300:
		return incident.Unknown // said yes, but the answer cannot be read
	case !errors.As(err, &said):
		return incident.Unknown
	}
	switch code := int(said.Status().Code); {
	case code == http.StatusConflict, code == http.StatusNotFound, code == http.StatusGone:
		return incident.Conflicted
	case code == http.StatusUnprocessableEntity && aboutUID(said):
		return incident.Conflicted
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout:
		return incident.Unknown
	case code >= 400 && code < 500:
		return incident.Denied
	}
	return incident.Unknown
}

// aboutUID: the object was deleted and made anew, so the uid in the patch would
// change an immutable field.
func aboutUID(said apierrors.APIStatus) bool {
	if d := said.Status().Details; d != nil {
		for _, c := range d.Causes {
			if strings.HasPrefix(c.Field, "metadata.uid") {
				return true
			}
		}
	}
	return false
}

// duplicate: the name follows from the op, so an object that exists may be ours.
func (w *Writer) duplicate(ctx context.Context, opID string, plan incident.Plan, cause error) (incident.Outcome,
	error) {
	found, err := w.Find(ctx, opID, plan)
	switch {
	case err != nil:
		return incident.Unknown, errors.Join(explain(requestOf(plan), cause), err)
	case found:
		return incident.Applied, nil
	}
	return incident.Conflicted, explain(requestOf(plan), cause)
}

// Find reports whether the object that the plan writes carries opID: whether the
// op's write was applied. It is a quorum read. An object that is gone, or was
// made anew under its name, carries nothing of ours.
func (w *Writer) Find(ctx context.Context, opID string, plan incident.Plan) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	o := plan.Object
	client, err := w.c.writable(o)
	if err != nil {
		return false, err
	}
	if opID == "" {
		return false, errors.New("find op: the op has no id")
	}
	raw, err := getRaw(ctx, client, o.Namespace, o.Resource, o.Name)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	r := requestOf(plan)
	r.verb = "get"
	if err != nil {
		return false, explain(r, err)
	}
	var found struct {
		Metadata metav1.ObjectMeta `json:"metadata"`
	}
	if err := json.Unmarshal(raw, &found); err != nil {
		return false, fmt.Errorf("%s: decode: %w", r, err)
	}
	m := found.Metadata
	if len(plan.Create) > 0 {
		return m.Labels[remediate.OpLabel] == opID, nil
	}
	return m.Annotations[remediate.OpAnnotation] == opID && (o.UID == "" || string(m.UID) == o.UID), nil
}

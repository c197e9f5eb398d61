//go:build linux

package main

import (
	"errors"
	"fmt"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// missingError is a ConfigMap, a Secret or a key that a container needs and that
// is not there, in the words of a kubelet.
type missingError string

func (e missingError) Error() string { return string(e) }

// missingObject turns "not found" of the API server into the kubelet's words.
func missingObject(kind, name string, err error) error {
	if apierrors.IsNotFound(err) {
		return missingError(fmt.Sprintf("%s %q not found", kind, name))
	}
	return err
}

// mountError is a volume that could not be laid.
type mountError struct {
	volume string
	err    error
}

func (e *mountError) Error() string {
	return fmt.Sprintf("MountVolume.SetUp failed for volume %q : %v", e.volume, e.err)
}

func (e *mountError) Unwrap() error { return e.err }

// notCreated is how a kubelet shows that a container could not be created: a
// missing volume leaves it in ContainerCreating and is told by an Event alone, a
// missing variable is a configuration error, all else an error.
func notCreated(err error) (state v1.ContainerState, event, message string) {
	if m, ok := errors.AsType[*mountError](err); ok {
		return waiting("ContainerCreating", ""), "FailedMount", m.Error()
	}
	if m, ok := errors.AsType[missingError](err); ok {
		return waiting("CreateContainerConfigError", m.Error()), "Failed", "Error: " + m.Error()
	}
	return waiting("CreateContainerError", err.Error()), "Failed", "Error: " + err.Error()
}

package kube

import (
	"io"
	"log/slog"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"watchdog.io/watchdog/pkg/incident"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func resourceGroup() schema.GroupResource {
	return schema.GroupResource{Group: "apps", Resource: "deployments"}
}

func inc(action incident.Action) incident.Incident {
	i := incident.New("01k3", shopCart, time.Now())
	i.Op = &incident.Op{ID: "op1", Plan: incident.Plan{Action: action}}
	return i
}

func entry(kind incident.Kind) incident.Entry {
	return incident.Entry{At: time.Now(), Kind: kind, Text: string(kind)}
}

func textLog(to io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(to, nil)) }

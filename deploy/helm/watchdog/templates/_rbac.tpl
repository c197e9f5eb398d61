{{/* The namespaces in which rights are granted, as a JSON list. */}}
{{- define "watchdog.namespaces" -}}
{{- $all := .Values.rbac.namespaces | default list -}}
{{- if not $all -}}
{{- range (.Values.config | default dict).targets }}{{ if .namespace }}{{ $all = append $all .namespace }}{{ end }}{{ end -}}
{{- end -}}
{{- $all | uniq | sortAlpha | toJson -}}
{{- end -}}

{{/* The plural resource names of the watched kinds, as a JSON list. */}}
{{- define "watchdog.kinds" -}}
{{- $all := list "deployments" -}}
{{- range .Values.rbac.kinds }}{{ $all = append $all (printf "%ss" .) }}{{ end -}}
{{- range (.Values.config | default dict).targets }}{{ if .workload }}{{ $all = append $all (printf "%ss" (first (splitList "/" (lower (toString .workload))))) }}{{ end }}{{ end -}}
{{- $all | uniq | sortAlpha | toJson -}}
{{- end -}}

{{/*
Rights in a target's namespace. Each line is used by the code named in the
README; nothing else is granted.
*/}}
{{- define "watchdog.targetRules" -}}
{{- $kinds := include "watchdog.kinds" . | fromJsonArray -}}
{{- $act := .Values.actions | default dict -}}
- apiGroups: [apps]
  resources: {{ $kinds | toJson }}
  verbs: [get, list, watch]
{{- if or $act.scale $act.restart $act.rollback }}
- apiGroups: [apps]
  resources: [deployments]
  verbs: [patch]
{{- end }}
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
- apiGroups: [""]
  resources: [events]
  verbs: [list, create]
- apiGroups: [""]
  resources: [services]
  verbs: [list]
- apiGroups: [""]
  resources: [configmaps, persistentvolumeclaims, serviceaccounts]
  verbs: [get]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list, watch{{ if $act.scale }}, get, patch{{ end }}]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [list]
- apiGroups: [metrics.k8s.io]
  resources: [pods]
  verbs: [list]
{{- if $act.job }}
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, create]
{{- end }}
{{- end -}}

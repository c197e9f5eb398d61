{{- define "watchdog.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "watchdog.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "watchdog.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "watchdog.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The name of what lies outside the release's namespace: two installations must not share it. */}}
{{- define "watchdog.outerName" -}}
{{- printf "%s-%s" (include "watchdog.fullname" .) .Release.Namespace -}}
{{- end -}}

{{- define "watchdog.selectorLabels" -}}
app.kubernetes.io/name: {{ include "watchdog.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "watchdog.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "watchdog.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "watchdog.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "watchdog.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "watchdog.image" -}}
{{- $name := .Values.image.repository -}}
{{- with .Values.image.registry }}{{ $name = printf "%s/%s" (trimSuffix "/" .) $name }}{{ end -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $name .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "watchdog.port" -}}
{{- regexFind "[0-9]+$" .Values.listenAddress -}}
{{- end -}}

{{/* The namespaces that rights are granted in, as a JSON list. */}}
{{- define "watchdog.namespaces" -}}
{{- $all := .Values.rbac.namespaces -}}
{{- if not $all -}}
{{- range .Values.config.targets }}{{ $all = append $all .namespace }}{{ end -}}
{{- end -}}
{{- $all | uniq | sortAlpha | toJson -}}
{{- end -}}

{{/* The plural resources of the kinds that are watched, as a JSON list. */}}
{{- define "watchdog.kinds" -}}
{{- $all := list "deployments" -}}
{{- range .Values.rbac.kinds }}{{ $all = append $all (printf "%ss" .) }}{{ end -}}
{{- range .Values.config.targets }}{{ $all = append $all (printf "%ss" (first (splitList "/" (lower (toString .workload))))) }}{{ end -}}
{{- $all | uniq | sortAlpha | toJson -}}
{{- end -}}

{{/*
Rights in a target's namespace. Each line is used by the code named in the
README; nothing else is granted.
*/}}
{{- define "watchdog.targetRules" -}}
{{- $kinds := include "watchdog.kinds" . | fromJsonArray -}}
{{- $act := .Values.actions -}}
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

{{/* "true" if HTTP callers are asked who they are. */}}
{{- define "watchdog.control" -}}
{{- if or .Values.api.control (dig "api" "control" false .Values.config) }}true{{ end -}}
{{- end -}}

{{/* "true" if people's words come other than by command line, so that it is asked what they may. */}}
{{- define "watchdog.hears" -}}
{{- $r := .Values.config.receivers | default dict -}}
{{- if or (include "watchdog.control" .) (dig "slack" "interaction" "" $r) (dig "pagerduty" "webhook" "" $r) }}true{{ end -}}
{{- end -}}

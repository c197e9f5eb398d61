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

{{/* The name of objects outside the release's namespace: two installations must not share it. */}}
{{- define "watchdog.outerName" -}}
{{- printf "%s-%s" (include "watchdog.fullname" .) .Release.Namespace -}}
{{- end -}}

{{- define "watchdog.selectorLabels" -}}
app.kubernetes.io/name: {{ include "watchdog.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/*
Labels as one mapping, so that no key appears twice: later arguments override
earlier ones. Nothing overrides the labels that selectors use.
*/}}
{{- define "watchdog.merged" -}}
{{- $root := first . -}}
{{- $all := dict -}}
{{- range rest . -}}{{- $all = mergeOverwrite $all (deepCopy (default dict .)) -}}{{- end -}}
{{- toYaml (mergeOverwrite $all (include "watchdog.selectorLabels" $root | fromYaml)) -}}
{{- end -}}

{{- define "watchdog.ownLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "watchdog.labels" -}}
{{- include "watchdog.merged" (list . (include "watchdog.ownLabels" . | fromYaml) .Values.commonLabels) -}}
{{- end -}}

{{/* The same with more labels. Argument: a list of the root and the labels. */}}
{{- define "watchdog.labelsAnd" -}}
{{- $root := first . -}}
{{- include "watchdog.merged" (list $root (include "watchdog.ownLabels" $root | fromYaml) $root.Values.commonLabels (index . 1)) -}}
{{- end -}}

{{/* The value at a path of a mapping, as JSON; nothing if a part of the path is missing or empty. */}}
{{- define "watchdog.at" -}}
{{- $v := first . -}}
{{- range rest . -}}{{- if kindIs "map" $v -}}{{- $v = index $v . -}}{{- else -}}{{- $v = "" -}}{{- end -}}{{- end -}}
{{- if $v -}}{{- toJson $v -}}{{- end -}}
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

{{/* The scheme of the listener for the API. */}}
{{- define "watchdog.scheme" -}}
{{- if and .Values.web.existingSecret .Values.web.tls -}}https{{- else -}}http{{- end -}}
{{- end -}}

{{/*
The listen address of metrics and health: the host of listenAddress, another port. It requires no password, and a flood of
connections on the other port does not affect probes.
*/}}
{{- define "watchdog.metricsAddress" -}}
{{- if eq (include "watchdog.port" .) (toString (int .Values.web.metricsPort)) -}}
{{- fail (printf "web.metricsPort is %d, which is the port of listenAddress too: set another" (int .Values.web.metricsPort)) -}}
{{- end -}}
{{- printf "%s:%d" (regexReplaceAll ":[0-9]+$" .Values.listenAddress "") (int .Values.web.metricsPort) -}}
{{- end -}}

{{/* A probe: its values and its path. Argument: a list of the root, the values and the path. */}}
{{- define "watchdog.probe" -}}
{{- $get := dict "path" (index . 2) "port" "metrics" -}}
{{- $probe := deepCopy (default dict (index . 1)) -}}
{{- $_ := set $probe "httpGet" (mergeOverwrite $get (default dict $probe.httpGet)) -}}
{{- toYaml $probe -}}
{{- end -}}

{{/*
The pod's security context. OpenShift's SCC restricted-v2 gives each namespace a
range of IDs and rejects pods with other IDs.
*/}}
{{- define "watchdog.podSecurityContext" -}}
{{- $c := deepCopy (default dict .Values.podSecurityContext) -}}
{{- $adapt := .Values.openshift.adaptSecurityContext -}}
{{- if or (eq $adapt "force") (and (eq $adapt "auto") (.Capabilities.APIVersions.Has "security.openshift.io/v1")) -}}
{{- $c = omit $c "runAsUser" "runAsGroup" "fsGroup" -}}
{{- end -}}
{{- toYaml $c -}}
{{- end -}}

{{/* The files in /etc/watchdog/secrets: volumes and volume mounts. */}}
{{- define "watchdog.secretVolumes" -}}
{{- range $receiver, $r := .Values.receivers }}
{{- if and $r $r.existingSecret }}
- name: secret-{{ $receiver }}
  secret: { secretName: {{ $r.existingSecret }}, defaultMode: 0440, optional: true }
{{- end }}
{{- end }}
{{- end -}}

{{- define "watchdog.secretMounts" -}}
{{- range $receiver, $r := .Values.receivers }}
{{- if and $r $r.existingSecret }}
- { name: secret-{{ $receiver }}, mountPath: /etc/watchdog/secrets/{{ $receiver }}, readOnly: true }
{{- end }}
{{- end }}
{{- end -}}

{{/* The configuration and its extra files. */}}
{{- define "watchdog.files" -}}
watchdog.yaml: |
  {{- toYaml (.Values.config | default dict) | nindent 2 }}
{{- range $name, $content := .Values.extraFiles }}
{{ $name | quote }}: |
  {{- $content | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "watchdog.port" -}}
{{- regexFind "[0-9]+$" .Values.listenAddress -}}
{{- end -}}

{{/*
The destinations of watchdog's connections according to the configuration, as JSON: namespaces of targets and
of Services in URLs, and TCP ports of all other hosts. A name with two labels can be a Service or an external
host, so it counts as both.
*/}}
{{- define "watchdog.destinations" -}}
{{- $namespaces := list .Release.Namespace -}}
{{- range (.Values.config | default dict).targets }}{{ if .namespace }}{{ $namespaces = append $namespaces .namespace }}{{ end }}{{ end -}}
{{- $ports := list -}}
{{- $text := toYaml (.Values.config | default dict) -}}
{{- $found := list -}}
{{- range regexFindAll "[a-z][a-z0-9+.-]*://[^/?#\\s\"']+" $text -1 -}}
{{- $scheme := regexFind "^[^:]+" . -}}
{{- $at := regexReplaceAll "^.*@" (regexReplaceAll "^[^:]+://" . "") "" -}}
{{- if not (regexMatch ":[0-9]+$" $at) -}}{{- $at = printf "%s:%s" $at (ternary "443" "80" (hasSuffix "s" $scheme)) -}}{{- end -}}
{{- $found = append $found $at -}}
{{- end -}}
{{- $found = concat $found (regexFindAll "[A-Za-z0-9][-A-Za-z0-9]*(\\.[-A-Za-z0-9]+)+:[0-9]{2,5}\\b" $text -1) -}}
{{- range $found | uniq -}}
{{- $port := regexFind "[0-9]+$" . | int -}}
{{- $host := regexReplaceAll ":[0-9]+$" . "" | lower -}}
{{- $labels := splitList "." (trimSuffix "." $host) -}}
{{- $service := regexFind "[-a-z0-9]+\\.svc(\\.|$)" $host -}}
{{- if $service -}}
{{- $namespaces = append $namespaces (first (splitList "." $service)) -}}
{{- else if gt (len $labels) 1 -}}
{{- if eq (len $labels) 2 -}}{{- $namespaces = append $namespaces (index $labels 1) -}}{{- end -}}
{{- if and (ne $port 443) (le $port 65535) -}}{{- $ports = append $ports $port -}}{{- end -}}
{{- else if contains "[" $host -}}
{{- if ne $port 443 -}}{{- $ports = append $ports $port -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- dict "namespaces" ($namespaces | uniq | sortAlpha) "ports" ($ports | uniq) | toJson -}}
{{- end -}}

{{/* "true" if the HTTP API for responders is enabled. */}}
{{- define "watchdog.control" -}}
{{- if include "watchdog.at" (list .Values.config "api" "control") }}true{{ end -}}
{{- end -}}

{{/* "true" if responders can use anything other than the command line. */}}
{{- define "watchdog.respondersOnline" -}}
{{- $c := .Values.config -}}
{{- if or (include "watchdog.control" .) (include "watchdog.at" (list $c "receivers" "slack" "interaction")) (include "watchdog.at" (list $c "receivers" "pagerduty" "webhook")) }}true{{ end -}}
{{- end -}}

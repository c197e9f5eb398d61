{{/*
"true" if the admission policies are installed. Without a cluster, Helm knows no kind at all, not
even Pods; all Kubernetes versions that the chart supports have the API.
*/}}
{{- define "watchdog.admission" -}}
{{- $has := .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy" -}}
{{- if and .Values.admissionPolicy.enabled (or $has (not (.Capabilities.APIVersions.Has "v1/Pod"))) }}true{{ end -}}
{{- end -}}

{{/* The name of a policy. It is cluster-scoped; namespaces contain no dot, so no two releases share it. */}}
{{- define "watchdog.policyName" -}}
{{- printf "%s.%s.%s" (include "watchdog.fullname" (first .)) (first .).Release.Namespace (last .) -}}
{{- end -}}

{{/* The common head of each policy. Argument: a list of the root and the policy's name. */}}
{{- define "watchdog.policyHead" -}}
{{- $root := first . -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {{ include "watchdog.policyName" . }}
  labels: {{- include "watchdog.labels" $root | nindent 4 }}
spec:
  failurePolicy: Fail
  matchConditions:
    - name: watchdog
      expression: request.userInfo.username == 'system:serviceaccount:{{ $root.Release.Namespace }}:{{ include "watchdog.serviceAccountName" $root }}'
{{- end -}}

{{/* The binding of a policy without parameters. */}}
{{- define "watchdog.policyBinding" -}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ include "watchdog.policyName" . }}
  labels: {{- include "watchdog.labels" (first .) | nindent 4 }}
spec:
  policyName: {{ include "watchdog.policyName" . }}
  validationActions: [Deny, Audit]
{{- end -}}

{{/*
CEL: two mappings are equal except for some keys. Argument: a list of the new one, the old one, and the keys. Fields that later
Kubernetes versions add must be equal, too.
*/}}
{{- define "watchdog.sameBut" -}}
{{- $new := index . 0 -}}{{- $old := index . 1 -}}
{{- $but := list -}}{{- range index . 2 -}}{{- $but = append $but (squote .) -}}{{- end -}}
{{- $but = printf "[%s]" (join ", " $but) -}}
(dyn({{ $new }}).all(k, k in {{ $but }} || k in dyn({{ $old }}) && dyn({{ $new }})[k] == dyn({{ $old }})[k]) && dyn({{ $old }}).all(k, k in {{ $but }} || k in dyn({{ $new }})))
{{- end -}}

{{/* CEL: two names are equal, or differ only in the hash that kustomize appends. */}}
{{- define "watchdog.sameName" -}}
{{- $a := first . -}}{{- $b := last . -}}
{{- $hash := squote "-[2456789bcdfghkmt]{10}$" -}}
({{ $a }} == {{ $b }} || {{ $a }}.matches({{ $hash }}) && {{ $b }}.matches({{ $hash }}) && {{ $a }}.substring(0, size({{ $a }}) - 10) == {{ $b }}.substring(0, size({{ $b }}) - 10))
{{- end -}}

{{/*
Validations of the metadata of objects that watchdog patches: only its own annotations may change. Argument: a list of the root, and "true" if
people can hold the object by Slack or HTTP. Then a hold may begin, and a hold that began this way may end.
*/}}
{{- define "watchdog.ownMetadata" -}}
{{- $root := first . -}}
{{- $own := list "watchdog.io/op" "watchdog.io/managed-by" -}}
{{- if last . }}{{ $own = concat $own (list "watchdog.io/hold" "watchdog.io/hold-since" "watchdog.io/hold-until" "watchdog.io/hold-source") }}{{ end -}}
- expression: >-
    {{ include "watchdog.sameBut" (list "object.metadata" "oldObject.metadata" (list "annotations" "generation" "managedFields" "resourceVersion")) }}
  reason: Forbidden
  message: watchdog does not change labels, finalizers, owners or other metadata of what it repairs.
- expression: >-
    {{ include "watchdog.sameBut" (list "object.metadata.?annotations.orValue({})" "oldObject.metadata.?annotations.orValue({})" $own) }}
  reason: Forbidden
  message: "watchdog sets the annotations {{ join ", " $own }} of what it repairs, and changes no other."
{{- if last . }}
- expression: >-
    !('watchdog.io/hold' in oldObject.metadata.?annotations.orValue({})) || 'watchdog.io/hold-source' in oldObject.metadata.?annotations.orValue({})
    || ['watchdog.io/hold', 'watchdog.io/hold-since', 'watchdog.io/hold-until', 'watchdog.io/hold-source'].all(k, object.metadata.?annotations[?k] == oldObject.metadata.?annotations[?k])
  reason: Forbidden
  message: "a hold that a person set by their own rights ends by these (watchdog resume), and not through watchdog."
- expression: >-
    !('watchdog.io/hold' in object.metadata.?annotations.orValue({})) || 'watchdog.io/hold' in oldObject.metadata.?annotations.orValue({})
    || 'watchdog.io/hold-source' in object.metadata.?annotations.orValue({})
  reason: Forbidden
  message: "a hold that begins through watchdog says so in watchdog.io/hold-source."
{{- end }}
- expression: >-
    object.metadata.?annotations[?'watchdog.io/managed-by'] == optional.of('{{ $root.Release.Namespace }}')
    || object.metadata.?annotations[?'watchdog.io/managed-by'] == oldObject.metadata.?annotations[?'watchdog.io/managed-by']
  reason: Forbidden
  message: watchdog claims what it repairs for its own namespace, {{ $root.Release.Namespace }}, and for no other.
{{- end -}}

{{/* CEL: the number of replicas is unchanged, or allowed for a scale. Argument: a list of the root, the new and the old number. */}}
{{- define "watchdog.mayScale" -}}
{{- $new := index . 1 -}}{{- $old := index . 2 -}}
{{- if include "watchdog.at" (list (first .).Values "actions" "scale") -}}
{{ $new }} == {{ $old }} || {{ $new }} >= 1 && ({{ $new }} <= {{ $old }} || {{ $new }} <= {{ include "watchdog.maxReplicas" (first .) }})
{{- else -}}
{{ $new }} == {{ $old }}
{{- end -}}
{{- end -}}

{{/* guards.max_replicas, with its default. */}}
{{- define "watchdog.maxReplicas" -}}
{{- include "watchdog.at" (list .Values.config "guards" "max_replicas") | default 50 | int -}}
{{- end -}}

{{/* The part of a Job template's name that is in the names of its Jobs: see jobName in pkg/remediate. */}}
{{- define "watchdog.jobName" -}}
{{- regexReplaceAll "[^a-z0-9-]" (lower .) "-" | trimAll "-" | trunc 45 | trimAll "-" -}}
{{- end -}}

{{/*
The Job templates whose manifests are in extraFiles, as a JSON list: the name of each, the names of its Jobs as a regular
expression, the template of its pods, whether it may run several pods. The chart does not know what other templates run.
*/}}
{{- define "watchdog.jobTemplates" -}}
{{- $all := list -}}
{{- if include "watchdog.at" (list .Values "actions" "job") -}}
{{- $files := .Values.extraFiles | default dict -}}
{{- range $name, $t := (.Values.config | default dict).job_templates -}}
{{- with include "watchdog.at" (list (fromYaml (index $files (base (toString (default dict $t).file)) | default "")) "spec" "template") -}}
{{- $safe := include "watchdog.jobName" $name -}}
{{- $all = append $all (dict "name" ($safe | default "job") "names" (printf "^watchdog-%s[a-z0-9]{8}$" (ternary "" (print $safe "-") (empty $safe))) "template" (fromJson .) "parallel" (has "parallel" (default list $t.allow))) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $all -}}
{{- end -}}

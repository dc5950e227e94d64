{{- define "xtrader.name" -}}
xtrader-{{ .Release.Name }}
{{- end }}

{{- define "xtrader.selector" -}}
app.kubernetes.io/name: xtrader
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "xtrader.metadata" -}}
name: {{ include "xtrader.name" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "xtrader.selector" . | nindent 2 }}
{{- end }}

{{- define "xtrader.image" -}}
{{ .Values.image.name }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag }}{{ end }}
{{- end }}

{{- /* SHA-256 of NAME=value lines, sorted by name: another value makes another pod. */ -}}
{{- define "xtrader.checksum" -}}
{{- $lines := "" }}
{{- range $name, $text := .Values.env }}{{ $lines = printf "%s%s=%s\n" $lines $name $text }}{{ end }}
{{- $lines | sha256sum }}
{{- end }}

{{- define "xtrader.claim" -}}
accessModes: [ReadWriteOnce]
{{- with .Values.storage.className }}
storageClassName: {{ . | quote }}
{{- end }}
resources:
  requests:
    storage: {{ .Values.storage.size }}
{{- end }}

{{- define "xtrader.template" -}}
metadata:
  labels:
    {{- include "xtrader.selector" . | nindent 4 }}
  annotations:
    xtrader/settings: {{ include "xtrader.checksum" . }}
spec:
  serviceAccountName: {{ include "xtrader.name" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: 45
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchExpressions:
          - {key: app.kubernetes.io/name, operator: In, values: [xtrader]}
  containers:
    - name: xtrader
      image: {{ include "xtrader.image" . | quote }}
      imagePullPolicy: IfNotPresent
      {{- with .Values.httpPort }}
      ports:
        - {name: http, containerPort: {{ . }}, protocol: TCP}
      {{- end }}
      envFrom:
        - configMapRef:
            name: {{ include "xtrader.name" . }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        capabilities:
          drop: [ALL]
        privileged: false
        readOnlyRootFilesystem: true
      startupProbe:
        exec: {command: [xtrader, healthcheck]}
        timeoutSeconds: 10
        periodSeconds: 5
        failureThreshold: 60
      readinessProbe:
        exec: {command: [xtrader, status]}
        timeoutSeconds: 10
        periodSeconds: 15
        failureThreshold: 3
      livenessProbe:
        exec: {command: [xtrader, healthcheck]}
        timeoutSeconds: 10
        periodSeconds: 60
        failureThreshold: 10
      volumeMounts:
        {{- if .Values.secret }}
        - {name: secrets, mountPath: /run/secrets, readOnly: true}
        {{- end }}
        - {name: data, mountPath: /data}
        - {name: tmp, mountPath: /tmp}
  volumes:
    {{- if not .Values.keepsFiles }}
    - name: data
      ephemeral:
        volumeClaimTemplate:
          spec:
            {{- include "xtrader.claim" . | nindent 12 }}
    {{- end }}
    {{- if .Values.secret }}
    - name: secrets
      secret:
        secretName: {{ .Values.secret | quote }}
        defaultMode: 0440
    {{- end }}
    - name: tmp
      emptyDir:
        medium: Memory
        sizeLimit: 64Mi
{{- end }}

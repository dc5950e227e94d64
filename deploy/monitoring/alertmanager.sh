#!/bin/sh
# Starts Alertmanager with alertmanager.yml and the ways to people that its variables name. A secret is best a file of its own:
# NAME_FILE instead of NAME; Alertmanager itself reads it whenever it needs it, but for the addresses of webhooks.
#
#   XTRADER_ALERT_SLACK_URL[_FILE]      an incoming webhook of Slack; XTRADER_ALERT_SLACK_CHANNEL: "#recorders"
#   XTRADER_ALERT_PAGERDUTY_KEY[_FILE]  an integration key (Events API v2)
#   XTRADER_ALERT_WEBHOOK_URL[_FILE]    gets Alertmanager's JSON by POST
#   XTRADER_ALERT_WATCHDOG_URL[_FILE]   the same, every minute, of XtraderWatchdog alone
#   XTRADER_ALERT_EMAIL_TO, _FROM, _SMARTHOST (host:port), _USER, _PASSWORD[_FILE]
#   XTRADER_ALERT_PAGES                 critical: PagerDuty and e-mail get those alone (default); all
#
# With the argument "render" it prints the configuration and starts nothing.
set -eu
here=$(dirname "$0")
umask 077

fail() {
  echo "alertmanager.sh: $1" >&2
  exit 2
}

# The value of variable $1, or the content of the file that ${1}_FILE names.
secret() {
  eval "value=\${$1:-} file=\${$1_FILE:-}"
  if [ -n "$value" ] && [ -n "$file" ]; then fail "$1 and $1_FILE are both set; leave one away"; fi
  if [ -n "$file" ]; then
    [ -r "$file" ] || fail "$1_FILE: '$file' cannot be read"
    value=$(cat "$file")
    [ -n "$value" ] || fail "$1_FILE: '$file' is empty"
  fi
}

# A text for YAML, in single quotes.
quoted() {
  printf "'%s'" "$(printf %s "$1" | sed "s/'/''/g")"
}

# A setting of the receiver: $1_file, if variable $2 is given by a file, else $1.
given() {
  secret "$2"
  if [ -n "$file" ]; then echo "$1_file: $(quoted "$file")"; else echo "$1: $(quoted "$value")"; fi
}

receiver() {
  echo "  - name: $1"
  secret XTRADER_ALERT_WEBHOOK_URL
  if [ -n "$value" ]; then
    printf '    webhook_configs:\n      - {send_resolved: true, url: %s}\n' "$(quoted "$value")"
  fi
  secret XTRADER_ALERT_SLACK_URL
  if [ -n "$value" ]; then
    cat <<YAML
    slack_configs:
      - send_resolved: true
        $(given api_url XTRADER_ALERT_SLACK_URL)
        channel: $(quoted "${XTRADER_ALERT_SLACK_CHANNEL:-#recorders}")
        title: '{{ .Status | toUpper }}{{ if eq .Status "firing" }} ({{ .Alerts.Firing | len }}){{ end }}: {{ .CommonLabels.alertname }} {{ .CommonLabels.instance }}'
        title_link: '{{ (index .Alerts 0).Annotations.runbook_url }}'
        color: '{{ if eq .Status "resolved" }}good{{ else if eq .CommonLabels.severity "critical" }}danger{{ else }}warning{{ end }}'
        text: '{{ range .Alerts }}{{ .Annotations.summary }}. {{ .Annotations.description }}{{ "\n" }}{{ end }}'
YAML
  fi
  [ "$2" = pages ] || return 0
  secret XTRADER_ALERT_PAGERDUTY_KEY
  if [ -n "$value" ]; then
    cat <<YAML
    pagerduty_configs:
      - send_resolved: true
        $(given routing_key XTRADER_ALERT_PAGERDUTY_KEY)
        severity: '{{ if eq .CommonLabels.severity "critical" }}critical{{ else }}warning{{ end }}'
        description: '{{ (index .Alerts 0).Annotations.summary }}'
        links: [{href: '{{ (index .Alerts 0).Annotations.runbook_url }}', text: runbook}]
YAML
  fi
  if [ -n "${XTRADER_ALERT_EMAIL_TO:-}" ]; then
    [ -n "${XTRADER_ALERT_EMAIL_FROM:-}" ] || fail "XTRADER_ALERT_EMAIL_TO needs XTRADER_ALERT_EMAIL_FROM"
    [ -n "${XTRADER_ALERT_EMAIL_SMARTHOST:-}" ] || fail "XTRADER_ALERT_EMAIL_TO needs XTRADER_ALERT_EMAIL_SMARTHOST, host:port"
    cat <<YAML
    email_configs:
      - send_resolved: true
        to: $(quoted "$XTRADER_ALERT_EMAIL_TO")
        from: $(quoted "$XTRADER_ALERT_EMAIL_FROM")
        smarthost: $(quoted "$XTRADER_ALERT_EMAIL_SMARTHOST")
YAML
    if [ -n "${XTRADER_ALERT_EMAIL_USER:-}" ]; then
      echo "        auth_username: $(quoted "$XTRADER_ALERT_EMAIL_USER")"
      echo "        $(given auth_password XTRADER_ALERT_EMAIL_PASSWORD)"
    fi
  fi
}

render() {
  case ${XTRADER_ALERT_PAGES:-critical} in
    critical) warnings=none ;;
    all) warnings=pages ;;
    *) fail "XTRADER_ALERT_PAGES is '${XTRADER_ALERT_PAGES}'; critical or all would be right" ;;
  esac
  sed '/^receivers:/,$d' "$here/alertmanager.yml"
  echo "receivers:"
  receiver people "$warnings"
  receiver pages pages
  echo "  - name: watchdog"
  secret XTRADER_ALERT_WATCHDOG_URL
  if [ -n "$value" ]; then
    printf '    webhook_configs:\n      - {send_resolved: false, url: %s}\n' "$(quoted "$value")"
  fi
}

if [ "${1:-}" = render ]; then
  render
  exit
fi
made=${TMPDIR:-/tmp}/alertmanager.with-receivers.yml
render >"$made"
exec "${ALERTMANAGER:-alertmanager}" --config.file="$made" "$@"

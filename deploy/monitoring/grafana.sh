#!/bin/sh
# Starts Grafana with a password of admin that is nobody's default: the one in the file GRAFANA_ADMIN_PASSWORD_FILE, or one that is made
# once and kept in its volume.
set -eu
umask 077
file=${GRAFANA_ADMIN_PASSWORD_FILE:-}
if [ -n "$file" ]; then
  if [ ! -r "$file" ]; then
    echo "grafana.sh: GRAFANA_ADMIN_PASSWORD_FILE: '$file' cannot be read" >&2
    exit 2
  fi
else
  file=${GRAFANA_DATA:-/var/lib/grafana}/admin-password
  if [ ! -s "$file" ]; then head -c 18 /dev/urandom | base64 >"$file"; fi
  echo "grafana.sh: the password of admin is in $file"
fi
export GF_SECURITY_ADMIN_PASSWORD__FILE="$file"
exec "${GRAFANA:-/run.sh}" "$@"

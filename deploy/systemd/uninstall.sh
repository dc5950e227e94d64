#!/bin/sh
# Stops an instance of the recorder and takes it out of systemd: uninstall.sh NAME
#
# Run as root. Its settings and its recording stay, unless --purge stands before NAME. With the last instance the unit and /opt/xtrader
# go too.
set -eu

refuse() { echo "uninstall.sh: $*" >&2; exit 2; }

purge=""
if [ "${1-}" = "--purge" ]; then purge=yes; shift; fi
[ $# -eq 1 ] || refuse "takes NAME, not $# arguments"
name=$1
case "$name" in
"" | *[!a-z0-9-]* | -*) refuse "'$name' is not a name of a-z, 0-9 and -" ;;
esac
[ "$(id -u)" -eq 0 ] || refuse "needs root: sudo $0 $*"
[ -e "/etc/xtrader/$name.env" ] || refuse "there is no instance '$name' (/etc/xtrader/$name.env)"

# Waits until it has finished its files.
systemctl disable --now "xtrader@$name" || refuse "xtrader@$name did not stop; nothing was removed"
rm -rf "/etc/systemd/system/xtrader@$name.service.d"
if [ -n "$purge" ]; then
  rm -rf "/etc/xtrader/$name.env" "/etc/xtrader/$name.secrets" "/var/lib/xtrader/$name" "/var/cache/xtrader/$name"
  echo "removed the settings, secrets and recording of $name"
else
  mv "/etc/xtrader/$name.env" "/etc/xtrader/$name.env.removed"
  echo "kept /etc/xtrader/$name.env.removed, /etc/xtrader/$name.secrets and /var/lib/xtrader/$name"
fi
if ! ls /etc/xtrader/*.env >/dev/null 2>&1; then
  rm -rf /etc/systemd/system/xtrader@.service /opt/xtrader
  echo "removed the unit and /opt/xtrader: there is no other instance"
fi
systemctl daemon-reload

#!/bin/sh
# Makes an instance of the recorder that systemd runs: install.sh NAME [SETTINGS.env]
#
# Run as root, from a checkout. Makes what is missing, and changes no settings and no data that are there:
#   the user xtrader, the environment /opt/xtrader (from requirements-runtime.lock, by hash), the unit xtrader@.service,
#   /etc/xtrader/NAME.env (from SETTINGS.env, or the example) and /etc/xtrader/NAME.secrets/
# With --upgrade before NAME it makes /opt/xtrader anew; running instances take it up when they are restarted. PREFIX=/opt/xtrader-1.1.0
# makes it there instead, for `xtrader roll NAME --to 1.1.0`.
set -eu

refuse() { echo "install.sh: $*" >&2; exit 2; }

upgrade=""
if [ "${1-}" = "--upgrade" ]; then upgrade=yes; shift; fi
case $# in
1 | 2) ;;
*) refuse "takes NAME, or NAME and a file with its settings, not $# arguments" ;;
esac
name=$1
settings=${2-}
prefix=${PREFIX:-/opt/xtrader}
case "$prefix" in
/*[!a-zA-Z0-9/._-]* | [!/]*) refuse "PREFIX='$prefix' is not an absolute path of letters, digits and /._-" ;;
esac
case "$name" in
"" | *[!a-z0-9-]* | -*) refuse "'$name' is not a name of a-z, 0-9 and -, such as btc-swaps" ;;
esac
[ "$(id -u)" -eq 0 ] || refuse "needs root: sudo $0 $*"
[ -z "$settings" ] || [ -f "$settings" ] || refuse "there is no file '$settings'"
command -v systemctl >/dev/null || refuse "there is no systemd here"

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
source=$(CDPATH='' cd -- "$here/../.." && pwd)

if ! getent passwd xtrader >/dev/null; then
  useradd --system --user-group --home-dir /var/lib/xtrader --no-create-home --shell /usr/sbin/nologin xtrader
  echo "made the user xtrader"
fi

if [ -n "$upgrade" ] || [ ! -x "$prefix/bin/xtrader" ]; then
  python=${PYTHON:-python3}
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || refuse "needs Python 3.11 or newer: set PYTHON=/path/to/python3.11"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  "$python" -m venv "$work/tools" || refuse "needs venv (Debian, Ubuntu: apt install python3-venv)"
  sh "$source/deploy/image/locked.sh" only setuptools < "$source/requirements.lock" > "$work/tools.lock"
  "$work/tools/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r "$work/tools.lock"
  mkdir "$work/source"
  cp -R "$source/xtrader" "$source/pyproject.toml" "$source/README.md" "$work/source/"
  "$work/tools/bin/pip" wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir "$work" "$work/source"
  # Beside what runs, then in its place: what runs keeps its open files, and a failure leaves it as it is.
  rm -rf "$prefix.new"
  "$python" -m venv --without-pip "$prefix.new"
  pip="$work/tools/bin/pip --disable-pip-version-check --python $prefix.new/bin/python install --quiet --no-compile"
  $pip --no-deps --require-hashes -r "$source/requirements-runtime.lock"
  $pip --no-deps --no-index "$work"/xtrader-*.whl
  sed -i "s#$prefix.new#$prefix#g" "$prefix.new"/bin/* "$prefix.new/pyvenv.cfg" 2>/dev/null || true
  rm -rf "$prefix.old"
  [ ! -e "$prefix" ] || mv "$prefix" "$prefix.old"
  mv "$prefix.new" "$prefix"
  rm -rf "$prefix.old"
  "$prefix/bin/python" -m compileall -q "$prefix/lib"
  echo "made $prefix: $("$prefix/bin/xtrader" --version)"
fi

install -d -m 0755 /etc/xtrader
install -d -m 0700 "/etc/xtrader/$name.secrets"
if [ ! -e "/etc/xtrader/$name.env" ]; then
  install -m 0600 "${settings:-$here/example.env}" "/etc/xtrader/$name.env"
  echo "made /etc/xtrader/$name.env"
elif [ -n "$settings" ] && ! cmp -s "$settings" "/etc/xtrader/$name.env"; then
  refuse "/etc/xtrader/$name.env is there already, and differs from '$settings'; change it, or remove it first"
fi
install -m 0644 "$here/xtrader@.service" /etc/systemd/system/xtrader@.service
systemctl daemon-reload
echo "Next: see to /etc/xtrader/$name.env, then: systemctl enable --now xtrader@$name"

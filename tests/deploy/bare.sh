#!/usr/bin/env bash
# Make a root file system of a bare Debian or Ubuntu that has Python and make, and run a target of the Makefile in it.
# usage: bare.sh RELEASE TREE TARGET     RELEASE: bookworm, trixie, noble; TREE: a checkout, of which only what Git knows is taken
set -euo pipefail
release=$1 tree=$2 target=$3
root=$(mktemp -d)
trap 'rm -rf --one-file-system "$root"' EXIT
case $release in
  bookworm | trixie) sources="deb http://deb.debian.org/debian $release main" ;;
  noble)
    keys=/usr/share/keyrings/ubuntu-archive-keyring.gpg
    sources="deb [$([ -e $keys ] && echo "signed-by=$keys" || echo trusted=yes)] http://archive.ubuntu.com/ubuntu noble main universe"
    ;;
  *) echo "unknown release $release" >&2 && exit 2 ;;
esac
quick=(--dpkgopt=force-unsafe-io --dpkgopt=path-exclude=/usr/share/{doc,man,locale}/\*)
mmdebstrap --quiet --variant=minbase "${quick[@]}" --include=apt,ca-certificates,make,python3 "$release" "$root" "$sources"
mkdir "$root/tree"
git -C "$tree" ls-files -z | tar --directory "$tree" --null --files-from - --create | tar --directory "$root/tree" --extract

# What only this machine knows of how packages are had.
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
cp /etc/resolv.conf /etc/hosts "$root/etc/"
kept=()
for name in $(compgen -e | grep -E '^(PIP_|SSL_CERT|REQUESTS_CA|[a-zA-Z]+_(proxy|PROXY)$)'); do kept+=("$name=${!name}"); done
wheels=${PIP_FIND_LINKS:-}
[ -d "$wheels" ] && mkdir -p "$root$wheels" && cp -r "$wheels/." "$root$wheels/"

# shellcheck disable=SC2016  # these are expanded inside
unshare --mount --pid --ipc --fork sh -euc '
  root=$1; shift
  mount --make-rprivate /
  mount -t proc proc "$root/proc"
  mount --rbind /sys "$root/sys"
  mount --rbind /dev "$root/dev"
  mount -t tmpfs shm "$root/dev/shm"
  exec chroot "$root" env --ignore-environment HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "$@"
' sh "$root" "${kept[@]}" make -C /tree "$target"

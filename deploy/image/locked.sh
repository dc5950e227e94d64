#!/bin/sh
# A part of a lock file, from standard input to standard output, with its hashes:
#   locked.sh only NAME           one package
#   locked.sh without FEATURES    all but what only these need: questdb, objects (with commas between)
set -eu
case "$1" in
only) names=$2 ;;
without)
  names=""
  for feature in $(echo "$2" | tr ',' ' '); do
    case "$feature" in
    questdb) names="$names questdb pandas python-dateutil six" ;;
    objects) names="$names obstore" ;;
    *) echo "'$feature' cannot be left away: WITHOUT takes questdb and objects, with a comma between" >&2; exit 2 ;;
    esac
  done
  ;;
*) echo "locked.sh takes 'only NAME' or 'without FEATURES', not '$1'" >&2; exit 2 ;;
esac
exec awk -v mode="$1" -v names="$names" '
  BEGIN { split(names, list, " "); for (i in list) named[list[i]] = 1 }
  /^[a-z0-9]/ { split($0, head, "=="); inside = head[1] in named; found += inside; print_it = (mode == "only") ? inside : !inside }
  /^#/ { next }
  print_it
  END { if (mode == "only" && !found) { print names " is not in the lock file" > "/dev/stderr"; exit 1 } }'

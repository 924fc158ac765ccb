#!/bin/sh
# The preload library shows programs the functions that it stands in front of, and nothing else.
# usage: shim_exports.sh LIBRARY
set -eu

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
nm -D --defined-only "$1" | awk '{ print $3 }' | sort >"$tmp/exported"
printf '%s\n' accept accept4 close connect fopen fopen64 getsockopt listen open open64 openat openat64 \
    setsockopt | sort >"$tmp/meant"
diff -u "$tmp/meant" "$tmp/exported"

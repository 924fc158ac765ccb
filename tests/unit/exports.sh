#!/bin/sh
# libtcpao.so exports what tcpao.h declares, and nothing else.
# usage: exports.sh LIBTCPAO HEADER
set -eu

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
nm -D --defined-only "$1" | awk '{ print $3 }' | sort >"$tmp/exported"
tr '\n' ' ' <"$2" | grep -o 'TCPAO_API[^(]*(' | grep -o 'tcpao_[a-z0-9_]*($' | tr -d '(' | sort \
    >"$tmp/declared"
test -s "$tmp/declared"
diff -u "$tmp/declared" "$tmp/exported"

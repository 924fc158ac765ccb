#!/bin/sh
# The example in docs/libtcpao.md is, word for word, the one that is compiled and run.
# usage: doc_example.sh DOCUMENT EXAMPLE
set -eu

awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' "$1" | diff -u "$2" -

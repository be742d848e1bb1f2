#!/bin/sh
# Makes ./configure from a fresh clone.
set -e
cd "$(dirname "$0")"
mkdir -p build-aux
exec autoreconf --force --install "$@"

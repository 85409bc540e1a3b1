#!/bin/sh
# Debian packages that some tests and benchmarks use. Never fails: without a package its tests are skipped, and say so.
set -u

missing=
command -v chromium >/dev/null || missing="$missing chromium"
command -v fusermount3 >/dev/null || missing="$missing fuse3"
command -v wrk >/dev/null || missing="$missing wrk"
[ -n "$missing" ] || exit 0

skipped() {
    echo "$1: the tests that need$missing are skipped. To run them: apt-get install$missing"
    exit 0
}

command -v apt-get >/dev/null || skipped "This is not a Debian machine"
[ "$(id -u)" = 0 ] || skipped "Only root can install Debian packages"

echo "Installing the Debian packages$missing (once)"
export DEBIAN_FRONTEND=noninteractive
errors=$(mktemp)
# shellcheck disable=SC2086  # each word of $missing is a package
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } >/dev/null 2>"$errors"; then
    tail -n 3 "$errors"
    rm -f "$errors"
    skipped "apt-get failed"
fi
rm -f "$errors"

#!/bin/sh
# Makes .venv what a lock says, and does nothing when it is already: `environment.sh [LOCK [FOLDER]]`, of which LOCK is
# requirements.lock, and FOLDER is .venv, unless others are named.
# Safe to run twice, and at the same time.
# Needs Python 3.11 to 3.13 only: without pip it uses venv's, and as root on Debian it installs venv where that is missing.
set -eu
cd "$(dirname "$0")/.."

lock=${1:-requirements.lock}
build_lock=requirements-build.lock
venv=${2:-.venv}
uv=$venv/.uv/bin/uv
stamp=$venv/.installed

# Where Python may write no bytecode, it would compile all that a server imports at each start:
# more than half of the time that it then takes.
compile() {
    "$venv/bin/python" -W ignore -m compileall -qq -j 0 -x 'site-packages/.*/tests?/' "$@" || true # some are of other Pythons
}
fail() { printf 'trainserve: %s\n' "$*" >&2; exit 1; }
offline="Is there a network, and can this machine reach its Python package index (PIP_INDEX_URL names another one)?"

if command -v flock >/dev/null; then
    exec 9<.
    flock 9
fi

locked=$(cat "$lock" deploy/environment.sh | cksum)
declared=$(cat pyproject.toml "$build_lock" | cksum)
installed=
if [ -f "$stamp" ] && "$venv/bin/python" -c '' 2>/dev/null; then installed=$(cat "$stamp"); fi
if [ "$installed" = "$locked, $declared" ]; then exit 0; fi

python=${PYTHON:-}
fits='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))'
if [ -z "$python" ]; then
    for name in python3.11 python3.12 python3.13 python3; do
        if "$name" -c "$fits" 2>/dev/null; then
            python=$name
            break
        fi
    done
fi
[ -n "$python" ] || fail "Python 3.11, 3.12 or 3.13 is needed and none was found." \
    "Install one (Debian: apt-get install python3), or name it: make PYTHON=/path/to/python"
"$python" -c "$fits" 2>/dev/null || fail "PYTHON is $python, expected a Python 3.11, 3.12 or 3.13."
mkdir -p "$venv" 2>/dev/null && touch "$venv/.writable" 2>/dev/null ||
    fail "The folder $PWD cannot be written by $(id -un 2>/dev/null): give it to that user, or work in a copy of it."
rm -f "$venv/.writable"

case $installed in
"$locked, "*) echo "Installing trainserve anew into $venv: pyproject.toml has changed" ;;
*) echo "Installing the locked environment into $venv (once; a minute or two)" ;;
esac
rm -f "$stamp"

# uv: from pip where there is one, else from a throwaway venv's pip.
if ! "$uv" --version >/dev/null 2>&1; then
    rm -rf "$venv/.uv" "$venv/.bootstrap"
    if "$python" -m pip --version >/dev/null 2>&1; then
        pip="$python -m pip"
    else
        if ! "$python" -c 'import ensurepip' 2>/dev/null; then
            package="python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
            [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
                fail "$python has neither pip nor venv: install the Debian package $package, then run this again."
            { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$package"; } >/dev/null ||
                fail "apt-get could not install $package (above): install it by hand, then run this again."
        fi
        "$python" -m venv "$venv/.bootstrap" || fail "$python could not make a virtual environment: see above."
        pip=$venv/.bootstrap/bin/pip
    fi
    PIP_ROOT_USER_ACTION=ignore $pip install --quiet --no-warn-script-location --target "$venv/.uv" uv || fail "uv could not be installed: see above. $offline"
    rm -rf "$venv/.bootstrap"
fi

# uv reads neither pip's configuration nor the certificates of the system: hand over what pip goes by.
configured() { "$python" -m pip config get "$1" 2>/dev/null || true; }
index=${UV_DEFAULT_INDEX:-${PIP_INDEX_URL:-$(configured global.index-url)}}
certificates=${SSL_CERT_FILE:-${PIP_CERT:-$(configured global.cert)}}
system_certificates=/etc/ssl/certs/ca-certificates.crt
if [ -z "$certificates" ] && [ -f "$system_certificates" ]; then certificates=$system_certificates; fi
if [ -n "$index" ]; then export UV_DEFAULT_INDEX="$index"; fi
if [ -n "$certificates" ]; then export SSL_CERT_FILE="$certificates"; fi

if ! "$venv/bin/python" -c "$fits" 2>/dev/null; then
    "$uv" venv --quiet --python "$python" --allow-existing "$venv" || fail "$python could not make $venv: see above."
fi
case $installed in
"$locked, "*) ;; # only our own package has changed
*)
    "$uv" pip sync --quiet --python "$venv/bin/python" --require-hashes "$lock" ||
        fail "The packages of $lock could not be installed: see above. $offline"
    compile "$venv"/lib/python*/site-packages
    ;;
esac
"$uv" pip install --quiet --python "$venv/bin/python" --no-deps --build-constraints "$build_lock" --editable . ||
    fail "trainserve itself could not be installed: see above. $offline"
compile lake checks trainserve_assets serving proxy
printf '%s' "$locked, $declared" >"$stamp"

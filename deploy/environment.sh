#!/bin/sh
# Makes .venv from the hashed lock, or does nothing when it is already the lock's.
# Needs only Python 3.11+ with pip or venv; uv itself is put inside .venv.
set -eu
cd "$(dirname "$0")/.."

lock=${1:-requirements.lock}
stamp=.venv/.installed

fail() { printf '%s\n' "$*" >&2; exit 1; }

python=${PYTHON:-}
if [ -z "$python" ]; then
    for name in python3.11 python3.12 python3.13 python3; do
        if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then
            python=$name
            break
        fi
    done
fi
[ -n "$python" ] || fail "Python 3.11, 3.12 or 3.13 is needed and none was found: install one (Debian: python3), or name it with PYTHON=/path/to/python."

wanted=$(cat "$lock" pyproject.toml deploy/environment.sh | cksum)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && .venv/bin/python -c '' 2>/dev/null; then
    exit 0
fi

echo "Installing the locked environment into .venv (once; a minute or two)"
rm -f "$stamp"

# uv, from pip where there is one, else from a throwaway venv's pip.
if [ ! -x .venv/.uv/bin/uv ]; then
    rm -rf .venv && mkdir -p .venv/.uv
    if "$python" -m pip --version >/dev/null 2>&1; then
        "$python" -m pip install --quiet --no-warn-script-location --target .venv/.uv uv
    else
        if ! "$python" -c 'import ensurepip' 2>/dev/null; then
            [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
                fail "$python has neither pip nor ensurepip: install the Debian package python3-venv, then run this again."
            apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null
        fi
        "$python" -m venv .venv/.bootstrap
        .venv/.bootstrap/bin/pip install --quiet --target .venv/.uv uv
        rm -rf .venv/.bootstrap
    fi
fi

# uv does not read pip's configuration: hand over an index that pip was told to use.
if [ -z "${UV_DEFAULT_INDEX:-}" ]; then
    index=${PIP_INDEX_URL:-$("$python" -m pip config get global.index-url 2>/dev/null || true)}
    if [ -n "$index" ]; then export UV_DEFAULT_INDEX="$index"; fi
fi

uv=.venv/.uv/bin/uv
[ -x .venv/bin/python ] || "$uv" venv --quiet --python "$python" --allow-existing .venv
"$uv" pip sync --quiet --python .venv/bin/python --require-hashes "$lock"
"$uv" pip install --quiet --python .venv/bin/python --no-deps --editable .
printf '%s' "$wanted" >"$stamp"

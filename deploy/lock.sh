#!/bin/sh
# Resolves the dependencies of pyproject.toml into the locks: everything, what a server image needs, and what builds us.
# They hold names, versions and hashes, and no address of any registry.
set -eu
cd "$(dirname "$0")/.."

compile() {
    .venv/.uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --custom-compile-command "make lock" "$@"
}

compile pyproject.toml --extra training --group dev --output-file requirements.lock
compile pyproject.toml --output-file requirements-serving.lock
.venv/bin/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' |
    compile - --output-file requirements-build.lock
if grep -nE '(https?|file)://' requirements*.lock; then
    echo "The locks name an address, above; take it out of the dependencies, then run make lock again." >&2
    exit 1
fi

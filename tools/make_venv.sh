#!/usr/bin/env bash
# Creates the virtual environment (first argument) with the package in editable mode and every extra but bench.
# A system Python without the venv module (Debian splits it off) is helped by apt when we are root, else by virtualenv.
set -euo pipefail
venv="$1"

for candidate in "${PYTHON:-python3.11}" python3.11 python3.12 python3.13 python3; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python="$(command -v "$candidate")"
        break
    fi
done
[ -n "${python:-}" ] || { echo "make venv: no Python 3.11 or newer found; set PYTHON=/path/to/python" >&2; exit 1; }

create_with_virtualenv() {
    "$python" -m pip --version >/dev/null 2>&1 || return 1
    local tool
    tool="$(mktemp -d)"
    "$python" -m pip install --quiet --target "$tool" virtualenv && PYTHONPATH="$tool" "$python" -m virtualenv --quiet "$venv"
    local result=$?
    rm -rf "$tool"
    return $result
}

create_after_apt() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    local version
    version="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq </dev/null
    apt-get install -y -qq "python$version-venv" </dev/null >/dev/null || apt-get install -y -qq python3-venv </dev/null >/dev/null
    "$python" -m venv "$venv"
}

if [ ! -x "$venv/bin/python" ]; then
    if "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        "$python" -m venv "$venv"
    else
        create_with_virtualenv || create_after_apt || {
            echo "make venv: $python has no venv module; install python3-venv or virtualenv" >&2
            exit 1
        }
    fi
fi

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
"$venv/bin/python" -m pip install --quiet --upgrade pip
"$venv/bin/python" -m pip install --quiet --editable '.[arrow,demo,dev]'

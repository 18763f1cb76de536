# Sourced by the other scripts: a virtual environment in .venv with the project installed in it.
# Nothing outside the repository is touched, but for Debian's venv package where python lacks it.

cd "$(dirname "${BASH_SOURCE[0]}")/.."

find_python() {
    local name
    for name in python3.11 python3.12 python3.13 python3.14 python3; do
        if command -v "$name" >/dev/null &&
            "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "error: Python 3.11 or newer is needed, and none was found" >&2
    return 1
}

make_venv() {
    local python
    python=$(find_python)
    [ -x .venv/bin/python ] && .venv/bin/python -m pip --version >/dev/null 2>&1 && return
    rm -rf .venv
    if ! "$python" -m venv .venv 2>/dev/null; then
        # Debian splits the venv module off; install it where we may.
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            { apt-get update && apt-get install -y python3-venv; } >&2
        fi
        rm -rf .venv
        "$python" -m venv .venv
    fi
}

# run_pip ARGUMENT...: run pip; what it says is shown only if it fails.
run_pip() {
    local said
    if ! said=$(.venv/bin/python -m pip "$@" 2>&1); then
        printf '%s\n' "$said" >&2
        return 1
    fi
}

# install EXTRAS: install the project, editable, unless that was done for this very pyproject.toml.
install() {
    local extras=$1 stamp
    stamp=".venv/installed-${extras//,/-}"
    make_venv
    if ! cmp -s pyproject.toml "$stamp"; then
        echo "setting up .venv with extras: $extras" >&2
        # An older pip takes minutes to find versions that fit together.
        run_pip install --disable-pip-version-check "pip>=25"
        run_pip install --disable-pip-version-check -e ".[$extras]"
        cp pyproject.toml "$stamp"
    fi
    PATH="$PWD/.venv/bin:$PATH"
}

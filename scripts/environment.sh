# Sourced by the other scripts: a virtual environment in .venv with the project installed in it.
# Outside the repository, only the caches of pip, npm and cargo are written; and as root on a system
# with apt, missing packages are installed: Python's venv, and what tests use: Chromium, TeX Live, shells, mandoc.

cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Keep bytecode, whatever the environment says: the tests start hundreds of interpreters.
unset PYTHONDONTWRITEBYTECODE

# The interpreter of $PYTHON, if that is set; or else the oldest that is supported.
find_python() {
    local name
    for name in ${PYTHON:+"$PYTHON"} python3.11 python3.12 python3.13 python3.14 python3; do
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

# What `scripts/test --fast` needs, and what everything needs.
FAST=fast,lint,test
ALL=fast,cluster,lint,test,dev

# is_installed EXTRAS: whether each of these extras was installed for this very pyproject.toml.
is_installed() {
    local extra
    for extra in ${1//,/ }; do
        cmp -s pyproject.toml ".venv/installed-$extra" || return 1
    done
}

# install EXTRAS: install the project, editable, with these extras where they are missing. Nothing is
# compiled: a native engine is used if it was built from these sources, and otherwise removed.
install() {
    local extra
    make_venv
    if ! is_installed "$1"; then
        echo "setting up .venv with extras: $1" >&2
        # An older pip takes minutes to find versions that fit together.
        run_pip install --disable-pip-version-check "pip>=25"
        run_pip install --disable-pip-version-check -e ".[$1]"
        for extra in ${1//,/ }; do
            cp pyproject.toml ".venv/installed-$extra"
        done
    fi
    PATH="$PWD/.venv/bin:$PATH"
    python scripts/build_native.py --no-compile
}

# The native engine, compiled where cargo is there and its crates can be fetched.
build_native() {
    python scripts/build_native.py
}

# on_crate SUBCOMMAND ARGUMENT...: run a part of cargo on native/, without a network. It fails only for
# what is wrong in the crate itself; where something is missing on this machine, it says so in a line.
on_crate() {
    local said libraries
    if ! cargo "$1" --help >/dev/null 2>&1; then
        echo "native/ is not checked with cargo $1: it is not installed here" >&2
        return 0
    fi
    libraries=$(python -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR"))')
    if said=$(cd native && LD_LIBRARY_PATH="$libraries" CARGO_NET_OFFLINE=true cargo "$@" 2>&1); then
        [ -z "$said" ] || printf '%s\n' "$said"
        return
    fi
    case "$said" in
        *"linking with"*) said="a program cannot be linked here" ;;
        *"could not compile \`mirror-native\`"* | *"test failed"* | "Diff in "*) printf '%s\n' "$said" >&2 && return 1 ;;
        *) said=$(grep -m 1 '^error' <<<"$said") ;;
    esac
    echo "native/ is not checked with cargo $1: $said" >&2
}

# get_package_lists: whether apt's servers answer; they are asked once in a run, and not for long.
APT=(apt-get -o Acquire::Retries=0 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 -o DPkg::Lock::Timeout=300)
get_package_lists() {
    : "${package_lists:=$(timeout 60 "${APT[@]}" update 2>/dev/null | grep -Ec '^(Hit|Get):' || true)}"
    [ "$package_lists" -gt 0 ]
}

# install_debian PROGRAMS PURPOSE PACKAGE...: install Debian's packages where one of the programs (one
# word each, or a path) is missing and we may install it. Where we may not or cannot, say that PURPOSE,
# such as "tests in a browser", is left out. Options of `apt-get install` may stand among the packages.
install_debian() {
    local program missing=""
    for program in $1; do
        command -v "$program" >/dev/null || missing=$program
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing ${*:3}" >&2
        if get_package_lists &&
            DEBIAN_FRONTEND=noninteractive "${APT[@]}" install -y -qq "${@:3}" >/dev/null 2>&1; then
            return 0
        fi
    fi
    echo "$missing is missing and cannot be installed here: $2 will skip" >&2
}

# axe-core, which looks for what keeps people out of a page, where npm works.
fetch_axe() {
    [ -e .cache/axe-core/package/axe.min.js ] && return
    command -v npm >/dev/null || return 0
    mkdir -p .cache/axe-core
    (cd .cache/axe-core && npm pack --silent axe-core@4 && tar -xzf axe-core-*.tgz package/axe.min.js) \
        >/dev/null 2>&1 || echo "axe-core cannot be fetched here: its tests will skip" >&2
}

# Debian's nginx, unpacked: its package would start a server when it is installed.
fetch_nginx() {
    local folder=.cache/nginx
    command -v nginx /usr/sbin/nginx $folder/usr/sbin/nginx >/dev/null && return
    mkdir -p $folder
    if command -v apt-get >/dev/null; then
        [ "$(id -u)" != 0 ] || get_package_lists || true
        (cd $folder && "${APT[@]}" download nginx && dpkg -x nginx_*.deb . && rm nginx_*.deb) >/dev/null 2>&1 || true
    fi
    [ -x $folder/usr/sbin/nginx ] || echo "nginx cannot be fetched here: its tests will skip" >&2
}

# The schema of OAI-PMH, from the source distribution of pyoai, where PyPI can be reached.
fetch_oai_schema() {
    local folder=.cache/oai-schemas
    [ -s "$folder/OAI-PMH.xsd" ] && return
    mkdir -p "$folder"
    { timeout 120 python -m pip download -q --no-deps --no-binary :all: -d "$folder" pyoai==2.5.0 &&
        tar -xzf "$folder"/pyoai-*.tar.gz -O --wildcards '*/OAI-PMH.xsd' >"$folder/unfinished" &&
        mv "$folder/unfinished" "$folder/OAI-PMH.xsd"; } >/dev/null 2>&1 ||
        echo "the schema of OAI-PMH cannot be fetched here: documents will not be validated by it" >&2
}

# All that the whole suite uses. Tests that need atheris, Chromium, axe, nginx or the engine skip without it.
install_all() {
    install "$ALL"
    build_native
    install fuzz 2>/dev/null || echo "atheris cannot be installed here: its tests will skip" >&2
    install_debian /usr/bin/chromium "tests in a browser" chromium
    install_debian "pdflatex xelatex lualatex" "tests of pith.sty" --no-install-recommends \
        texlive-latex-base texlive-xetex texlive-luatex texlive-fonts-recommended texlive-publishers
    install_debian "zsh fish" "tests of completion" zsh fish
    install_debian "mandoc groff" "tests of manual pages" mandoc groff-base
    fetch_axe
    fetch_nginx
    fetch_oai_schema
}

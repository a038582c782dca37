#!/bin/sh
# Create the virtual environment DIR (first argument) and install logstore in it, editable, with
# the tools of the checks. Says in one line what is missing when it cannot.
#   PYTHON=python3.12   the interpreter to use (default: the first found that will do)
#   CC=clang            the C compiler to use (default: the first found of cc, gcc, clang)
set -eu

venv=${1:?usage: make_venv.sh DIR}

fail() {
    echo "logstore: $1" >&2
    exit 1
}

# Prints nothing and succeeds if the interpreter can run the project and build its C modules.
# A name on PATH proves nothing: version managers leave stubs for versions that are not active.
suits() {
    "$1" - 2>/dev/null <<'PY'
import os, sys, sysconfig, venv, ensurepip
header = os.path.join(sysconfig.get_path("include"), "Python.h")
sys.exit(0 if sys.version_info >= (3, 11) and os.path.exists(header) else 1)
PY
}

compiles() {
    command -v "$1" >/dev/null 2>&1 &&
        printf '#include <stdatomic.h>\n#include <unistd.h>\nint main(void) { return 0; }\n' |
        "$1" -std=c11 -x c -fsyntax-only - >/dev/null 2>&1
}

[ "$(uname -s)" = Linux ] || fail "needs Linux (futexes, open-file-description locks); this is $(uname -s)"
case $(uname -m) in
    x86_64 | aarch64) ;;
    *) fail "needs a 64-bit x86 or ARM machine (x86_64, aarch64); this is $(uname -m)" ;;
esac

python=
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 /usr/bin/python3}; do
    if suits "$candidate"; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || fail "needs Python 3.11 or later with its venv module and C headers\
 (Debian: apt install python3-venv python3-dev); set PYTHON=... to point at one"

compiler=
for candidate in ${CC:-cc gcc clang}; do
    if compiles "$candidate"; then
        compiler=$candidate
        break
    fi
done
[ -n "$compiler" ] || fail "needs a C compiler (Debian: apt install gcc libc6-dev); set CC=... to point at one"

# A half-made environment is made anew; a whole one is kept.
"$venv/bin/python" -m pip --version >/dev/null 2>&1 || {
    echo "creating $venv with $("$python" --version)"
    rm -rf "$venv"
    "$python" -m venv "$venv"
}
echo "installing logstore into $venv (compiler: $compiler)"
CC=$compiler "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e '.[dev]' ||
    fail "the installation failed (the reason is above); it needs PyPI for the packages in pyproject.toml"

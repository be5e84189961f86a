#!/bin/sh
# Installs the programs that open our meshes and pages, those that are missing alone: apt's blender, chromium, nodejs and npm, and
# the packages of package.json. A node from elsewhere serves as well as Debian's, and is left as it is.
# What cannot be installed is said in a line, and its checks are skipped; the others are made.
set -eu
cd "$(dirname "$0")"

missing() { ! command -v "$1" >/dev/null; }

skipped() { echo "$1; what needs it is skipped" >&2; }
updated=

# The program that is looked for, then the packages that bring it.
install() {
    program=$1
    shift
    missing "$program" || return 0
    if [ "$(id -u)" != 0 ] || missing apt-get; then
        skipped "$program is missing here (Debian, Ubuntu: sudo apt-get install $*)"
        return 0
    fi
    echo "Installing with apt-get: $*"
    [ -n "$updated" ] || apt-get update -qq || true
    updated=yes
    apt-get install -qq -y --no-install-recommends "$@" >/dev/null 2>&1 || skipped "$program cannot be installed here"
}

install "${GEN3D_BLENDER:-blender}" blender python3-numpy
install "${GEN3D_CHROMIUM:-chromium}" chromium
install node nodejs npm

if missing node; then
    : # said above
elif missing npm; then # Debian's would replace this node
    skipped "node is here ($(command -v node)), but not npm; install it the way node was installed"
else
    echo "Installing with npm into tests/clients/node_modules, where they are missing:"
    sed -n '/"dependencies"/,/}/s/^ *"\(.*\)": "\(.*\)".*/    \1 \2/p' package.json
    npm install --no-audit --no-fund --silent || skipped "the npm packages cannot be installed here"
fi

PLAYWRIGHT=1.65.2
echo "Installing with pip into the environment, where it is missing: playwright $PLAYWRIGHT"
python=../../.venv/bin/python
"$python" -m pip --disable-pip-version-check install -qq "playwright==$PLAYWRIGHT"

PYCOLMAP=4.2.1
echo "Installing with pip into the environment, where it is missing: pycolmap $PYCOLMAP"
"$python" -m pip --disable-pip-version-check install -qq "pycolmap==$PYCOLMAP" || skipped "pycolmap cannot be installed here"

# nerfstudio asks for half a gigabyte of packages; its readers need these alone, in a folder of their own.
NERFSTUDIO="nerfstudio==1.1.5 opencv-python-headless tyro docstring_parser typeguard shtab mediapy appdirs"
if [ ! -d python/nerfstudio ]; then
    echo "Installing with pip into tests/clients/python: nerfstudio, and what its readers import"
    # shellcheck disable=SC2086
    "$python" -m pip --disable-pip-version-check install -qq --no-deps --target python $NERFSTUDIO || skipped "nerfstudio cannot be installed here"
fi

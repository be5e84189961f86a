#!/bin/sh
# Installs the programs that open our meshes and pages, those that are missing alone: apt's blender, chromium, nodejs and npm, and
# the packages of package.json. A node from elsewhere serves as well as Debian's, and is left as it is.
set -eu
cd "$(dirname "$0")"

missing() { ! command -v "$1" >/dev/null; }

packages=
missing "${GEN3D_BLENDER:-blender}" && packages="$packages blender python3-numpy"
missing "${GEN3D_CHROMIUM:-chromium}" && packages="$packages chromium"
if missing node; then
    packages="$packages nodejs npm"
elif missing npm; then # Debian's would replace this node
    echo "node is here ($(command -v node)), but not npm; install it the way node was installed" >&2
    exit 5
fi

if [ -n "$packages" ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "missing here:$packages; install them (Debian, Ubuntu: sudo apt-get install$packages) and try again" >&2
        exit 5
    fi
    echo "Installing with apt-get:$packages"
    apt-get update -qq
    apt-get install -y --no-install-recommends $packages
fi

echo "Installing with npm into tests/clients/node_modules, where they are missing:"
sed -n '/"dependencies"/,/}/s/^ *"\(.*\)": "\(.*\)".*/    \1 \2/p' package.json
npm install --no-audit --no-fund --silent

PLAYWRIGHT=1.65.2
echo "Installing with pip into the environment, where it is missing: playwright $PLAYWRIGHT"
python=../../.venv/bin/python
"$python" -m pip --disable-pip-version-check install -qq "playwright==$PLAYWRIGHT"

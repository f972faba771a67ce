#!/bin/sh
# Creates the virtual environment: the part of the setup that runs before Python. The rest is `python -m lab setup`.
# The third argument: `base` installs what real accounts need, on Linux and macOS; `lab` installs everything.
set -eu
# Ignore settings that change where pip and uv install. Your indexes and proxies are used.
export PIP_USER=0
unset PIP_TARGET PIP_PREFIX PIP_ROOT PIP_CONSTRAINT PIP_PYTHON UV_TARGET UV_PREFIX UV_SYSTEM_PYTHON UV_PYTHON UV_CONSTRAINT
python=$1 venv=$2 what=$3

if [ "$what" = lab ] && [ "$(uname -s)" != Linux ]; then
  echo "The lab needs Linux. On real accounts: make tutorial TARGET=cloud (docs/real-accounts.md)" >&2
  exit 1
fi
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || {
  echo "Python 3.11, 3.12 or 3.13 is needed; $python is $("$python" --version 2>&1). Try: make PYTHON=python3.11" >&2
  exit 1
}
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
  # On Debian it is a separate package.
  package="python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
  sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
  install() {
    echo "Installing $package …"
    $sudo apt-get update -qq >/dev/null
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null
  }
  # Only for the lab: real accounts need no root.
  { [ "$what" = lab ] && install; } || {
    echo "Python's venv module is missing. Try: $sudo apt-get install $package" >&2
    exit 1
  }
fi
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
echo "Installing the Python packages of requirements.lock …"
# uv takes 10 seconds, pip two minutes. uv does not read pip's settings, so pass on the mirror.
pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }
pip install --quiet "$(sed -n 's/^\(uv==[^ ]*\).*/\1/p' requirements.lock)"
mirror=${PIP_INDEX_URL:-$(pip config get global.index-url 2>/dev/null || true)}
[ -z "$mirror" ] || export UV_DEFAULT_INDEX="$mirror"
# Like pip, uv must trust the machine's certificates, for example those of a company's proxy.
{ [ ! -e /etc/ssl/certs/ca-certificates.crt ] && [ "$(uname -s)" != Darwin ]; } || export UV_SYSTEM_CERTS=true
# Compile once here, as every notebook starts its own Python process.
export UV_COMPILE_BYTECODE="${UV_COMPILE_BYTECODE:-true}"
uv() { "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" "$@"; }
# The same constraints for both: requirements.lock determines the versions, with any extras.
if [ "$what" = lab ]; then extras=--all-extras; else extras="--extra build"; fi
uv --constraint requirements.lock --requirement pyproject.toml $extras
uv --no-deps --no-build-isolation --editable .

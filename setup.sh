#!/bin/sh
# The virtual environment: the part of the set-up that can't be Python yet. The rest is `python -m lab setup`.
# With `base` as the third word only what real accounts need, on Linux and macOS; with `lab` everything.
set -eu
# Where pip and uv install is said below, not by what is set for other environments. Indexes and proxies are the reader's.
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
  # Debian has it in a package of its own.
  package="python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
  sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
  install() {
    echo "Installing $package …"
    $sudo apt-get update -qq >/dev/null
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null
  }
  # Real accounts need no root.
  { [ "$what" = lab ] && install; } || {
    echo "Python's venv module is missing. Try: $sudo apt-get install $package" >&2
    exit 1
  }
fi
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
echo "Installing the Python packages of requirements.lock …"
# uv installs in 10 seconds what takes pip two minutes. It does not read pip's settings, so a mirror is passed on.
pip="$venv/bin/python -m pip --disable-pip-version-check"
$pip install --quiet "$(sed -n 's/^\(uv==[^ ]*\).*/\1/p' requirements.lock)"
mirror=${PIP_INDEX_URL:-$($pip config get global.index-url 2>/dev/null || true)}
[ -z "$mirror" ] || export UV_DEFAULT_INDEX="$mirror"
# pip trusts the machine's certificates, a company's proxy among them; so shall uv, where there are any.
{ [ ! -e /etc/ssl/certs/ca-certificates.crt ] && [ "$(uname -s)" != Darwin ]; } || export UV_SYSTEM_CERTS=true
# Compiled once here, as every notebook starts a Python of its own.
export UV_COMPILE_BYTECODE="${UV_COMPILE_BYTECODE:-true}"
uv="$venv/bin/uv pip install --quiet --python $venv/bin/python"
# One resolution for both: what is installed is what the lock file says, whichever extras are asked for.
if [ "$what" = lab ]; then extras=--all-extras; else extras="--extra build"; fi
$uv --constraint requirements.lock --requirement pyproject.toml $extras
$uv --no-deps --no-build-isolation --editable .

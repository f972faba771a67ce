#!/bin/sh
# Puts what `make tutorial` will ask apt-get for into the root folder $1, as a repository of its own:
# the machine has no network. Nothing of it is installed. mmdebstrap calls this at the end (--customize-hook).
set -eu
root=$1
shift
chroot "$root" apt-get update --quiet
chroot "$root" apt-get install --yes --quiet --download-only --no-install-recommends "$@"
mkdir -p "$root/opt/packages"
mv "$root"/var/cache/apt/archives/*.deb "$root/opt/packages/"
cd "$root/opt/packages"
dpkg-scanpackages --multiversion . >Packages
rm -f "$root/etc/apt/sources.list" "$root"/etc/apt/sources.list.d/*
echo 'deb [trusted=yes] file:/opt/packages ./' >"$root/etc/apt/sources.list.d/local.list"
rm -rf "$root"/var/lib/apt/lists/*

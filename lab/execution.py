"""Runs a program where it stands in a network of the lab: `python -m lab exec outside -- curl …`."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.network import Namespace

# A network has its own DNS; the machine's /etc/resolv.conf (or systemd's resolver) would lead elsewhere.
# The mounts are in a mount namespace of this one program and go with it.
_WITH_DNS = (
    'mount --bind "$1" /etc/resolv.conf && mount --bind "$2" /etc/nsswitch.conf && shift 2 && exec "$@"'
)


@dataclass(frozen=True)
class Network:
    """A namespace, and the address of the resolver that its hosts are told to use."""

    namespace: Namespace
    resolver: str


def run(
    network: Network,
    argv: list[str],
    *,
    etc: Path,
    user: tuple[int, int],
    files: list[int],
    cwd: str,
    environment: dict[str, str],
    has_gone: Callable[[], bool],
) -> int:
    """Run it as `user` (uid, gid) with these stdin, stdout and stderr; returns its exit status.

    `etc` is a folder for the network's resolv.conf. When the caller has gone, the program is ended.
    """
    stdin, stdout, stderr = files
    program = subprocess.Popen(
        [*network.namespace.prefix, *_with_dns(network, etc), *_as_user(*user), *argv],
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        cwd=cwd,
        env=environment,
        start_new_session=True,
    )
    while True:
        try:
            return program.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            if has_gone():
                program.kill()


def _with_dns(network: Network, etc: Path) -> list[str | Path]:
    folder = etc / network.namespace.name
    folder.mkdir(parents=True, exist_ok=True)
    resolv, switch = folder / "resolv.conf", folder / "nsswitch.conf"
    resolv.write_text(f"nameserver {network.resolver}\n")
    switch.write_text("hosts: files dns\n")
    return ["unshare", "--mount", "sh", "-c", _WITH_DNS, "sh", resolv, switch]


def _as_user(uid: int, gid: int) -> list[str]:
    if uid == os.getuid():
        return []
    return ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--"]

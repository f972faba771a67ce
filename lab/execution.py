"""Runs a program in a network of the lab: `python -m lab exec outside -- curl …`."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.as_root import PATH, as_user, program
from lab.network import Namespace

# A network has its own DNS; the machine's files, nscd (which glibc asks first) and systemd's resolver do not
# know it. The mounts are in the program's own mount namespace and end with it.
_DNS = {"nsswitch.conf": "hosts: files dns\n", "hosts": "127.0.0.1 localhost\n::1 localhost\n"}
_WITH_DNS = """
set -e
for file in resolv.conf nsswitch.conf hosts; do
  [ ! -e /etc/$file ] || mount --bind "$1/$file" /etc/$file
done
[ ! -d /run/nscd ] || mount -t tmpfs none /run/nscd
shift
exec "$@"
"""
_BECOME = Path(__file__).with_name("become.py")


@dataclass(frozen=True)
class Network:
    """A namespace, and the address of its hosts' resolver."""

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
    is_disconnected: Callable[[], bool],
) -> int:
    """Run it as `user` (uid, gid) with these stdin, stdout and stderr; returns its exit status.

    `etc` is a folder for the network's resolv.conf. When the caller disconnects, the program and its children
    are killed.
    """
    stdin, stdout, stderr = files
    request = _in_memory({"argv": argv, "cwd": cwd, "environment": environment})
    try:
        process = subprocess.Popen(
            [
                *(program("nsenter"), f"--net={network.namespace.path}", "--"),
                *_with_dns(network, etc),
                *_as_user(*user),
                *(sys.executable, "-I", "-S", _BECOME, str(request)),
            ],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            cwd="/",
            env={"PATH": PATH},
            pass_fds=[request],
            start_new_session=True,
        )
    finally:
        os.close(request)
    while True:
        try:
            return process.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            if is_disconnected():
                os.killpg(process.pid, signal.SIGKILL)


def _in_memory(request: dict[str, Any]) -> int:
    file = os.memfd_create("request", os.MFD_CLOEXEC)
    os.write(file, json.dumps(request).encode())
    os.lseek(file, 0, os.SEEK_SET)
    return file


def _with_dns(network: Network, etc: Path) -> list[str | Path]:
    folder = etc / network.namespace.name
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (_DNS | {"resolv.conf": f"nameserver {network.resolver}\n"}).items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o644)  # for any user, whatever the umask
    return [program("unshare"), "--mount", "--", program("sh"), "-c", _WITH_DNS, "sh", folder]


def _as_user(uid: int, gid: int) -> list[str]:
    if uid == os.getuid():
        return []
    return as_user(uid, gid)

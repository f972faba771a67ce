"""The lab's prerequisites, whether this machine meets them, and how to fix it."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from lab import as_root, binaries, inotify, packages
from lab.errors import LabError
from lab.progress import Progress
from lab.settings import Lab

MEMORY = 4 * 2**30  # both clusters with both meshes use about 2 GB
DISK = 8 * 2**30  # mostly Go's caches during the build
CURL = (7, 75)  # the first whose JSON report has the exit code


@dataclass(frozen=True)
class Row:
    """One prerequisite: what is needed and why, what was found, and the command that fixes it."""

    met: bool
    wanted: str
    found: str
    fix: str


def report(lab: Lab, progress: Progress) -> int:
    """Print one line per prerequisite; returns how many are not met."""
    table = Table("", "wanted", "found", "to fix")
    for column in table.columns[1:]:
        column.overflow = "fold"  # do not truncate paths
    rows = list(_rows(lab))
    for row in rows:
        table.add_row("✓" if row.met else "✗", row.wanted, row.found, "" if row.met else row.fix)
    progress.console.print(table)
    return sum(not row.met for row in rows)


def _rows(lab: Lab) -> Iterator[Row]:
    root, sudo = os.getuid() == 0, as_root.find("sudo")
    yield Row(root or bool(sudo), "root, or sudo", "root" if root else sudo or "neither", "run it as root")
    version = ".".join(map(str, sys.version_info[:3]))
    fit = (3, 11) <= sys.version_info < (3, 14)
    yield Row(fit, "Python 3.11 to 3.13", version, "rm -rf .venv; make setup PYTHON=python3.11")
    for need in packages.NEEDS:
        found = need.found()
        fix = packages.command([need])
        yield Row(bool(found), f"{need.what}: {need.why}", found or "missing", fix)
    yield _curl()
    yield _go(lab)
    free = _available()
    yield Row(free > MEMORY, "4 GB of free memory", f"{free / 2**30:.1f} GB", "stop other programs")
    yield _disk(lab)
    yield _overlay()
    yield _inotify()
    yield _address()
    yield from _ports(lab)
    for need in packages.OPTIONAL:
        found = need.found() or f"missing: {packages.command([need])}"
        yield Row(True, f"{need.what}: {need.why} (optional)", found, "")


def _available() -> int:
    """Memory that programs can use, in bytes, including the page cache."""
    text = Path("/proc/meminfo").read_text()
    return int(re.search(r"^MemAvailable: +(\d+) kB", text, re.M)[1]) * 1024  # type: ignore[index]


def _curl() -> Row:
    wanted, fix = "curl 7.75 or newer", "install a newer curl"
    if not (curl := shutil.which("curl")):  # on your PATH, as in the notebooks
        return Row(False, wanted, "missing", fix)
    text = subprocess.run([curl, "--version"], capture_output=True, text=True).stdout
    version = re.match(r"curl (\d+)\.(\d+)", text)
    met = bool(version) and (int(version[1]), int(version[2])) >= CURL  # type: ignore[index]
    return Row(met, wanted, " ".join(text.split()[:2]) or "does not start", fix)


def _go(lab: Lab) -> Row:
    if binaries.is_built(lab.cache):
        return Row(True, "the lab's programs", str(binaries.folder(lab.cache)), "")
    wanted = "Go to build the programs"
    try:
        return Row(True, wanted, binaries.toolchain(), "")
    except LabError as error:
        return Row(False, wanted, error.answer, error.hint)


def _disk(lab: Lab) -> Row:
    place = next(folder for folder in (lab.cache, *lab.cache.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    met = free > DISK or binaries.is_built(lab.cache)
    return Row(met, f"8 GB of disk for {place}", f"{free / 2**30:.0f} GB", "free disk space")


def _overlay() -> Row:
    known = "overlay" in Path("/proc/filesystems").read_text()
    found = "in the kernel" if known else "missing"
    fix = f"{'' if os.getuid() == 0 else 'sudo '}modprobe overlay"
    return Row(known, "the overlay file system: containers", found, fix)


def _inotify() -> Row:
    wanted, left = 2 * inotify.CLUSTER, inotify.free()
    found = f"{left} of {inotify.limit()} are free"
    return Row(left >= wanted, f"{wanted} inotify instances for root", found, inotify.FIX)


def _address() -> Row:
    """Without one, as on an offline laptop, istiod rejects istioctl."""
    wanted = "an address other than 127.0.0.1: istioctl proxy-status"
    words = ["ip", "-brief", "address", "show", "up", "scope", "global"]
    ip = as_root.find("ip")
    found = subprocess.run([ip, *words[1:]], capture_output=True, text=True).stdout.split() if ip else []
    sudo = "" if os.getuid() == 0 else "sudo "
    fix = " && ".join(
        f"{sudo}ip {command}"
        for command in (
            "link add offline type bridge",
            "address add 192.0.2.1/32 dev offline",
            "link set offline up",
        )
    )
    return Row(bool(found), wanted, found[2] if found else "none", fix)


def _ports(lab: Lab) -> Iterator[Row]:
    """The ports that are set; otherwise the lab uses free ones."""
    for name, port in (("LAB_AWS_PORT", lab.aws_port), ("LAB_GKE_PORT", lab.gke_port)):
        if port and not lab.run.exists():  # otherwise the lab itself listens there
            free = _is_free(port)
            yield Row(free, f"{name}={port}", "free" if free else "taken", f"choose another {name}")


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

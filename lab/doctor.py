"""What the lab needs, what this machine has, and how to get the rest."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from rich.table import Table

from lab import binaries, packages
from lab.errors import LabError
from lab.progress import Progress
from lab.settings import Lab

MEMORY = 4 * 2**30  # both clusters with both meshes hold about 2.5 GB
DISK = 8 * 2**30  # Go's caches while building take most of it

Row = tuple[bool, str, str, str]


def report(lab: Lab, progress: Progress) -> int:
    """Print one line per prerequisite; returns the number of those that are not met."""
    table = Table("", "needed", "found", "to fix")
    rows = list(_rows(lab))
    for met, needed, found, fix in rows:
        table.add_row("✓" if met else "✗", needed, found, "" if met else fix)
    progress.console.print(table)
    return sum(not met for met, *_ in rows)


def _rows(lab: Lab) -> Iterator[Row]:
    yield _root()
    for need in packages.NEEDS:
        found = need.found()
        yield bool(found), f"{need.what}: {need.why}", found or "missing", packages.command([need])
    yield _go(lab)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    yield memory > MEMORY, "4 GB of free memory", f"{memory / 2**30:.1f} GB", "end something else"
    yield _disk(lab)
    yield _overlay()


def _root() -> Row:
    root = os.getuid() == 0
    sudo = shutil.which("sudo")
    return root or bool(sudo), "root, or sudo", "root" if root else sudo or "neither", "run it as root"


def _go(lab: Lab) -> Row:
    if binaries.is_built(lab.cache):
        return True, "the lab's programs", str(binaries.folder(lab.cache)), ""
    try:
        return True, "Go to build the programs", binaries.toolchain(), ""
    except LabError as error:
        return False, "Go to build the programs", error.answer, error.try_


def _disk(lab: Lab) -> Row:
    place = next(folder for folder in (lab.cache, *lab.cache.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    return (
        free > DISK or binaries.is_built(lab.cache),
        f"8 GB of disk for {place}",
        f"{free / 2**30:.0f} GB",
        "free some",
    )


def _overlay() -> Row:
    known = "overlay" in Path("/proc/filesystems").read_text()
    return (
        known,
        "the file system overlay: containers",
        "in the kernel" if known else "missing",
        "modprobe overlay",
    )

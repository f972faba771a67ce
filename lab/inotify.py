"""The kernel limits each user's inotify instances, to 128 on Debian, and a cluster uses some of them.

https://man7.org/linux/man-pages/man7/inotify.7.html
"""

import os
from pathlib import Path

from lab.errors import LabError

LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
CLUSTER = 16  # used by one cluster with its mesh
FIX = "stop another lab, or: sudo sysctl fs.inotify.max_user_instances=512"


def limit() -> int:
    """The limit per user."""
    return int(LIMIT.read_text())


def used() -> int:
    """How many instances root's processes use; 0 if this process may not inspect them."""
    return sum(_instances(process) for process in Path("/proc").glob("[0-9]*") if _is_roots(process))


def free() -> int:
    """How many are left for root."""
    return limit() - used()


def require_instances_for_cluster(name: str) -> None:
    """Raises LabError if too few are left for a cluster, which would fail with `too many open files`."""
    left = free()
    if left < CLUSTER:
        raise LabError(
            f"bringing up the cluster {name}",
            f"root has {left} of {limit()} inotify instances left, and a cluster needs {CLUSTER}",
            FIX,
        )


def _is_roots(process: Path) -> bool:
    try:
        return process.stat().st_uid == 0
    except OSError:  # it has ended
        return False


def _instances(process: Path) -> int:
    count = 0
    try:
        for file in (process / "fd").iterdir():
            count += os.readlink(file) == "anon_inode:inotify"
    except OSError:
        pass
    return count

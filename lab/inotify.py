"""The kernel gives each user so many inotify instances, 128 on Debian, and a cluster takes some of them.

https://man7.org/linux/man-pages/man7/inotify.7.html
"""

import os
from pathlib import Path

from lab.errors import LabError

LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
CLUSTER = 16  # what one cluster with its mesh holds
FIX = "end another lab, or: sudo sysctl fs.inotify.max_user_instances=512"


def limit() -> int:
    """How many each user may have."""
    return int(LIMIT.read_text())


def used() -> int:
    """How many root's processes hold; zero for whoever may not look into them."""
    return sum(_instances(process) for process in Path("/proc").glob("[0-9]*") if _is_roots(process))


def free() -> int:
    """How many root may still take."""
    return limit() - used()


def refuse_a_cluster_too_many(name: str) -> None:
    """Raises LabError where a cluster's programs would fail one by one with `too many open files`."""
    left = free()
    if left < CLUSTER:
        raise LabError(
            f"bringing up the cluster {name}",
            f"root has {left} of {limit()} inotify instances left, and a cluster takes {CLUSTER}",
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

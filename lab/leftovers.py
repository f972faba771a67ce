"""Deletes what is left of a lab, for example after `kill -9`; only its settings need to be known."""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

from lab import cgroups
from lab.as_root import program
from lab.errors import LabError
from lab.settings import Lab


def clean_up(lab: Lab) -> None:
    """Kill its processes (except this one), unmount, delete its cgroups and folders. Idempotent."""
    cgroups.kill(lab.cgroup)
    for mount in _mounts_below(lab.run, lab.data):
        subprocess.run([program("umount"), "--lazy", mount], check=False, capture_output=True)
    if os.getpid() not in cgroups.processes(lab.cgroup):
        try:
            cgroups.remove(lab.cgroup, timeout=1)
        except LabError:  # the daemon of an interrupted `up` has entered it meanwhile
            cgroups.kill(lab.cgroup)
            cgroups.remove(lab.cgroup)
    for folder in (lab.run, lab.data):
        shutil.rmtree(folder, ignore_errors=True)
        _remove_if_empty(folder.parent)


def _mounts_below(*folders: Path) -> list[str]:
    """Mount points in these folders, last mounted first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split(" ")[4].encode().decode("unicode_escape") for line in lines]  # a space is \040
    return [point for point in reversed(points) if any(map(Path(point).is_relative_to, folders))]


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # other labs use it, or it never existed
        folder.rmdir()

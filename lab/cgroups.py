"""Control groups, version 1 (a hierarchy per controller) and version 2 (one for all).

A path here is relative, such as `istio-lab-lab/services`, and means that group in every hierarchy.
Rules: https://docs.kernel.org/admin-guide/cgroup-v2.html and …/cgroup-v1/cgroups.html.
"""

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from lab.as_root import program
from lab.errors import LabError


def create(path: str) -> None:
    """Create the group and its ancestors; existing ones are kept.

    Version 2: every controller is enabled above the group and, as the kubelet requires of its cgroupRoot, in
    it. When a process enters, they are disabled again, which makes the group a leaf. `remove` leaves the
    root's controllers enabled, as other programs may need them by now.
    """
    for hierarchy in _hierarchies():
        new = not _group(hierarchy, path).exists()
        for group in _lineage(hierarchy, path):
            group.mkdir(exist_ok=True)
            _copy_cpuset(group)
        if _is_v2(hierarchy):
            *ancestors, group = hierarchy, *_lineage(hierarchy, path)
            for ancestor in ancestors:
                _switch_controllers(ancestor, "+")
            if new:  # else a process may be about to enter
                _switch_controllers(group, "+")


def entering(path: str) -> list[str]:
    """Return the prefix of a command line that enters the group and then becomes the command."""
    groups = _entrances(path)
    # PWD: set by the shell itself, not part of the command's environment.
    enter = 'for group in "$@"; do shift; [ "$group" = -- ] && break; echo $$ >"$group" || exit 1; done'
    script = f'{enter}; unset PWD; exec "$@"'
    return [program("sh"), "-c", script, "sh", *map(str, groups), "--"]


def processes(path: str) -> list[int]:
    """Return the ids of all processes in the group and below it, in any hierarchy; [] without a group."""
    return sorted({pid for hierarchy in _hierarchies() for pid in _members(_group(hierarchy, path))})


def kill(path: str, timeout: float = 10) -> None:
    """SIGKILL every process in the group and below it, except this one.

    Repeated until none is left, as processes may fork; LabError if some remain after `timeout` seconds.
    """
    if not _relative(path):
        raise ValueError("the root cgroup holds the machine's processes, not the lab's")
    deadline = time.monotonic() + timeout
    while left := [pid for pid in processes(path) if pid != os.getpid()]:
        if time.monotonic() > deadline:
            raise LabError(
                f"ending the processes of the cgroup {path}",
                f"{len(left)} remain: {', '.join(map(_describe, left[:5]))}",
                "check `ps -o pid,stat,wchan,args -p <pid>`: state D is a wait for a device or file system",
            )
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def remove(path: str, timeout: float = 5) -> None:
    """Delete the group and all below it in every hierarchy, if it exists.

    LabError if a process is still in it after `timeout` seconds.
    """
    if not _relative(path):
        raise ValueError("the root cgroup cannot be removed")
    for hierarchy in _hierarchies():
        for group in _tree(_group(hierarchy, path)):
            _remove_one(group, timeout)


def limit_memory(path: str, size: int) -> None:
    """Limit the memory of the group's processes to `size` bytes with swap; the kernel kills beyond."""
    for hierarchy in _hierarchies():
        group = _group(hierarchy, path)
        v1, v2 = group / "memory.limit_in_bytes", group / "memory.max"
        if v1.exists():
            v1.write_text(str(size))
            _write_if_there(group / "memory.memsw.limit_in_bytes", size)
        elif v2.exists():
            v2.write_text(str(size))
            _write_if_there(group / "memory.swap.max", 0)


def out_of_memory(path: str) -> bool:
    """Whether the kernel has killed a process of the group for exceeding its memory limit."""
    for hierarchy in _hierarchies():
        for name in ("memory.oom_control", "memory.events"):  # versions 1 and 2
            counters = _group(hierarchy, path) / name
            if counters.exists() and re.search(r"^oom_kill [1-9]", counters.read_text(), re.M):
                return True
    return False


@cache
def _hierarchies() -> tuple[Path, ...]:
    """Each hierarchy's mount point: controllers may be joined ('cpu,cpuacct'), and systemd has its own."""
    found: dict[str, Path] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mount, source = line.split(" - ", 1)
        if source.split(" ")[0] in ("cgroup", "cgroup2"):
            device, mount_point = mount.split(" ")[2], mount.split(" ")[4]
            found.setdefault(device, Path(mount_point))  # the same hierarchy can be mounted twice
    if not found:
        raise LabError(
            "looking for control groups", "no cgroup file system is mounted", "mount /sys/fs/cgroup"
        )
    return tuple(found.values())


def _is_v2(hierarchy: Path) -> bool:
    """With version 1 there is often an idle version 2 hierarchy; its controllers are ignored."""
    return len(_hierarchies()) == 1 and (hierarchy / "cgroup.controllers").exists()


def _relative(path: str) -> str:
    return path.strip("/")


def _group(hierarchy: Path, path: str) -> Path:
    return hierarchy / _relative(path)


def _lineage(hierarchy: Path, path: str) -> list[Path]:
    """The group and its ancestors, from the top, without the root."""
    parts = Path(_relative(path)).parts
    return [hierarchy.joinpath(*parts[: length + 1]) for length in range(len(parts))]


def _entrances(path: str) -> list[Path]:
    groups = [_group(hierarchy, path) for hierarchy in _hierarchies()]
    if _is_v2(_hierarchies()[0]) and _relative(path) and groups[0].exists():
        # Version 2: a group that delegates controllers to its children must not contain processes.
        _switch_controllers(groups[0], "-")
    return [group / "cgroup.procs" for group in groups]


def _switch_controllers(group: Path, sign: str) -> None:
    source = "cgroup.controllers" if sign == "+" else "cgroup.subtree_control"
    controllers = (group / source).read_text().split()
    if not controllers:
        return
    try:
        (group / "cgroup.subtree_control").write_text(" ".join(sign + name for name in controllers))
    except OSError as error:
        raise LabError(
            f"writing {sign}{','.join(controllers)} in {group}/cgroup.subtree_control",
            str(error),
            "a cgroup contains processes or delegates controllers, not both: move the processes to a leaf",
        ) from error


def _copy_cpuset(group: Path) -> None:
    """Version 1: no process can enter a new cpuset before it has processors and memory nodes."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        value = group / name
        if (group / "tasks").exists() and value.exists() and not value.read_text().strip():
            value.write_text((group.parent / name).read_text())


def _tree(group: Path) -> Iterator[Path]:
    """The group and all below it, deepest first."""
    for directory, _, _ in os.walk(group, topdown=False):
        yield Path(directory)


def _members(group: Path) -> Iterator[int]:
    for directory in _tree(group):
        try:
            yield from map(int, (directory / "cgroup.procs").read_text().split())
        except OSError:  # removed meanwhile (or a threaded group, whose processes its parent lists)
            continue


def _remove_one(group: Path, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while True:
        try:
            return group.rmdir()
        except FileNotFoundError:
            return None
        except OSError as error:  # EBUSY can last a moment after the last process has ended
            if time.monotonic() > deadline:
                names = ", ".join(map(_describe, _members(group))) or "no visible process"
                raise LabError(f"removing the cgroup {group}", f"{error.strerror}: {names}") from error
        time.sleep(0.02)


def _describe(pid: int) -> str:
    try:
        return f"{pid} ({Path(f'/proc/{pid}/comm').read_text().strip()})"
    except OSError:
        return str(pid)


def _write_if_there(file: Path, value: int) -> None:
    if file.exists():
        file.write_text(str(value))

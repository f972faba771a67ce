import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import cgroups
from lab.errors import LabError

ROOT = Path("/sys/fs/cgroup")

if os.getuid():
    pytest.skip("making control groups needs root", allow_module_level=True)


@pytest.fixture
def group() -> Iterator[str]:
    name = f"istio-lab-t{os.getpid() % 10000}"
    yield name
    cgroups.kill(name)
    cgroups.remove(name)


def listing() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*") if path.is_dir() and "istio-lab-t" in str(path))


def start(group: str, script: str) -> "subprocess.Popen[str]":
    command = [*cgroups.entering(group), "sh", "-c", script]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def test_a_command_and_its_children_are_in_the_group_in_every_hierarchy(group):
    cgroups.create(f"{group}/services")
    lines = start(f"{group}/services", "cat /proc/self/cgroup").communicate(timeout=10)[0].splitlines()
    assert lines
    assert all(line.endswith(f":/{group}/services") for line in lines)


def test_processes_are_those_of_the_group_and_below(group):
    cgroups.create(f"{group}/a/b")
    process = start(f"{group}/a/b", "echo ready; sleep 60")
    first_line(process)
    assert process.pid in cgroups.processes(group)
    assert process.pid in cgroups.processes(f"{group}/a/b")
    cgroups.create(f"{group}/other")
    assert cgroups.processes(f"{group}/other") == []
    assert cgroups.processes("istio-lab-none") == []
    cgroups.kill(group)
    assert process.wait() == -9


def test_a_missing_group_cannot_be_entered(group):
    entering = subprocess.run([*cgroups.entering(group), "true"], capture_output=True, text=True)
    assert entering.returncode == 1 and "cgroup.procs" in entering.stderr


def test_kill_ends_a_grandchild_that_became_a_daemon(group):
    """Forked twice, in its own session, its parent gone: only the cgroup still shows where it belongs."""
    cgroups.create(group)
    process = start(group, "setsid sh -c 'sleep 600 & echo $!' & wait")
    grandchild = int(first_line(process))
    process.wait()
    assert Path(f"/proc/{grandchild}/stat").read_text().split()[3] != str(process.pid)
    assert cgroups.processes(group) == [grandchild]
    cgroups.kill(group)
    assert cgroups.processes(group) == []


def test_kill_spares_the_calling_process(group):
    cgroups.create(group)
    script = (
        "import subprocess\n"
        "from lab import cgroups\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        f"cgroups.kill({group!r})\n"
        "print(child.wait())\n"
    )
    command = [*cgroups.entering(group), sys.executable, "-c", script]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (answer.stdout, answer.stderr) == ("-9\n", "")


@pytest.mark.parametrize("path", ["", "/"])
def test_the_root_is_neither_killed_nor_removed(path):
    with pytest.raises(ValueError, match="root cgroup"):
        cgroups.kill(path)
    with pytest.raises(ValueError, match="root cgroup"):
        cgroups.remove(path)


def test_remove_leaves_nothing_and_can_be_repeated(group):
    before = listing()
    cgroups.create(f"{group}/a/b")
    cgroups.create(f"{group}/c")
    assert len(listing()) >= len(before) + 4
    cgroups.remove(group)
    cgroups.remove(group)
    assert listing() == before


def test_remove_names_a_remaining_process(group):
    cgroups.create(f"{group}/a")
    process = start(f"{group}/a", "echo ready; exec sleep 60")
    first_line(process)
    with pytest.raises(LabError, match=rf"removing the cgroup .*{group}/a: .*{process.pid} \(sleep\)"):
        cgroups.remove(group, timeout=0.1)


def test_a_program_that_exceeds_its_memory_limit_is_killed(group):
    cgroups.create(group)
    cgroups.limit_memory(group, 64 * 1024**2)
    take = [*cgroups.entering(group), sys.executable, "-c", "import sys; b'x' * (int(sys.argv[1]) << 20)"]
    assert subprocess.run([*take, "8"], capture_output=True).returncode == 0
    assert subprocess.run([*take, "256"], capture_output=True).returncode == -9


ONE_HIERARCHY = """
import os, subprocess, sys
from pathlib import Path
from lab import cgroups
name, root = sys.argv[1], Path("/sys/fs/cgroup")
control = lambda path: (root / path / "cgroup.subtree_control").read_text().split()
before, every = control(""), (root / "cgroup.controllers").read_text().split()
try:
    cgroups.create(f"{name}/node")
    print("kubelet's root:", control("") == control(name) == control(f"{name}/node") == every)
    cgroups.create(f"{name}/services")
    for _ in range(2):
        process = subprocess.Popen([*cgroups.entering(f"{name}/services"), "sleep", "60"])
        cgroups.create(f"{name}/services")
        while process.pid not in cgroups.processes(name): assert process.poll() is None
    print("a leaf holds processes:", control(f"{name}/services") == [])
    try:
        cgroups.entering(name)
    except Exception as error:
        print(error)
finally:
    cgroups.kill(name)
    cgroups.remove(name)
    for controller in {*control("")} - {*before}:
        (root / "cgroup.subtree_control").write_text("-" + controller)
print("left:", (root / name).exists())
"""


def test_version_2(group):
    """In a mount namespace with only cgroup2, which has the controllers that version 1 leaves free."""
    mounts = "umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup"
    python = [sys.executable, "-c", ONE_HIERARCHY, group]
    answer = subprocess.run(
        ["unshare", "--mount", "sh", "-ec", f'{mounts}; exec "$@"', "sh", *python],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert answer.stderr == ""
    assert answer.stdout.splitlines()[:2] == ["kubelet's root: True", "a leaf holds processes: True"]
    assert "a cgroup contains processes or delegates controllers, not both" in answer.stdout
    assert answer.stdout.endswith("left: False\n")

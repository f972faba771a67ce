import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import cgroups
from lab.errors import LabError
from lab.network import Namespace
from lab.processes import Process, Processes
from lab.settings import Lab

LAB = Lab(name=f"t{os.getpid() % 10000}")

if os.getuid():
    pytest.skip("entering control groups and namespaces needs root", allow_module_level=True)


@pytest.fixture
def processes() -> Iterator[Processes]:
    processes = Processes(LAB)
    yield processes
    processes.stop_all(timeout=1)
    cgroups.kill(LAB.cgroup)
    cgroups.remove(LAB.cgroup)
    shutil.rmtree(LAB.data, ignore_errors=True)


def wait_for(process: Process, text: str) -> None:
    deadline = time.monotonic() + 10
    while text not in process.tail():
        assert time.monotonic() < deadline, process.tail()
        time.sleep(0.01)


def output(processes: Processes, script: str, **options) -> str:
    """The output of a shell script that is started as a program of the lab."""
    process = processes.start("script", ["/bin/sh", "-c", script], **options)
    assert process.wait(10) == 0, process.tail()
    return process.log.read_text()


@pytest.fixture
def generous_parent() -> Iterator[None]:
    """Give this process an endless stdin and a supplementary group, neither of which programs may inherit."""
    saved, groups, (reading, writing) = os.dup(0), os.getgroups(), os.pipe()
    os.dup2(reading, 0)
    os.setgroups([*groups, 4])
    yield
    os.setgroups(groups)
    os.dup2(saved, 0)
    for descriptor in (saved, reading, writing):
        os.close(descriptor)


def test_output_goes_to_the_log_and_stdin_is_empty(processes, generous_parent):
    assert output(processes, "echo out; echo err >&2; cat; echo end") == "out\nerr\nend\n"
    assert processes.tail("script") == "out\nerr\nend"
    assert (LAB.data / "log/script.log").exists()


def test_a_name_can_have_a_folder(processes):
    process = processes.start("eks/etcd", ["echo", "hello"])
    assert process.wait(10) == 0
    assert process.log == LAB.data / "log/eks/etcd.log"


def test_it_is_in_the_labs_cgroup_and_its_own_session(processes):
    process = processes.start("sleeper", ["sh", "-c", "echo ready; sleep 60"])
    wait_for(process, "ready")
    assert process.pid in cgroups.processes(f"{LAB.cgroup}/services")
    assert os.getsid(process.pid) == process.pid
    assert os.getpid() not in cgroups.processes(LAB.cgroup)


def test_namespace_user_environment_and_directory(processes, generous_parent, tmp_path):
    namespace = Namespace(tmp_path / "quiet").create()
    try:
        script = "readlink /proc/self/ns/net; id -un; id -G | wc -w; pwd; env | sort"
        environment = {"GREETING": "hello", "PATH": os.environ["PATH"]}
        lines = output(processes, script, namespace=namespace, user="nobody", env=environment, cwd="/usr")
        inside, user, groups, directory, *variables = lines.splitlines()
        assert inside == f"net:[{namespace.path.stat().st_ino}]"
        assert (user, groups.strip(), directory) == ("nobody", "1", "/usr")
        assert "GREETING=hello" in variables
        assert {line.split("=")[0] for line in variables} <= {"GREETING", "PATH", "PWD", "OLDPWD", "_"}
    finally:
        namespace.delete()


def test_by_default_it_runs_like_the_lab(processes):
    lines = output(processes, "readlink /proc/self/ns/net; id -u; pwd").splitlines()
    assert lines == [os.readlink("/proc/self/ns/net"), "0", os.getcwd()]


def test_a_program_that_ends_early_is_reported_with_its_log(processes):
    script = "for i in $(seq 100); do echo line $i; done; exit 3"
    process = processes.start("eks/apiserver", ["sh", "-c", script])
    assert process.wait(10) == 3
    with pytest.raises(LabError) as error:
        process.check()
    message = str(error.value)
    assert message.startswith("running eks/apiserver: ended with status 3; its log ends with:\n")
    assert "line 100" in message
    assert "line 81" in message
    assert "line 80\n" not in message
    assert str(process.log) in message


def test_a_running_program_is_not_reported(processes):
    process = processes.start("sleeper", ["sleep", "60"])
    process.check()
    assert process.alive()
    assert process.wait(timeout=0.01) is None


def test_the_signal_that_killed_a_program_is_reported(processes):
    process = processes.start("sleeper", ["sleep", "60"])
    os.kill(process.pid, 9)
    assert process.wait(10) == -9
    with pytest.raises(LabError, match="killed by SIGKILL"):
        process.check()


def test_unexpected_ends_are_reported_and_stops_are_not(processes):
    names = ("eks/etcd", "eks/scheduler", "eks-2/etcd")
    etcd, scheduler, other = (processes.start(name, ["sleep", "60"]) for name in names)
    assert processes.ended() == []
    for process in (etcd, other):
        os.kill(process.pid, 9)
        process.wait(10)
    assert processes.ended("eks") == ["eks/etcd was killed by SIGKILL"]
    assert processes.ended("eks/scheduler") == []
    assert len(processes.ended()) == 2
    processes.stopping("eks")
    os.kill(scheduler.pid, 9)
    scheduler.wait(10)
    processes.stop("eks-2/etcd")
    assert processes.ended() == []


def test_a_missing_program_is_reported(processes):
    process = processes.start("typo", ["no-such-program"])
    assert process.wait(10) == 127
    with pytest.raises(LabError, match="no-such-program: not found"):
        process.check()


def test_no_zombie_is_left(processes):
    process = processes.start("short", ["true"])
    process.wait(10)
    assert not Path(f"/proc/{process.pid}").exists()


def test_stop_lets_a_program_finish_its_work(processes):
    process = processes.start(
        "clean", ["sh", "-c", "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.1; done"]
    )
    wait_for(process, "ready")
    processes.stop("clean")
    assert process.wait(0) == 0
    assert processes.tail("clean").endswith("bye")


def test_stop_kills_a_program_that_ignores_sigterm_and_its_children(processes):
    process = processes.start("stubborn", ["sh", "-c", "trap '' TERM; echo ready; sleep 600; sleep 600"])
    wait_for(process, "ready")
    processes.stop("stubborn", timeout=0.1)
    assert process.wait(0) == -9
    deadline = time.monotonic() + 10
    while cgroups.processes(LAB.cgroup):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_stopping_what_does_not_run_has_no_effect(processes):
    processes.stop("never")
    processes.start("short", ["true"]).wait(10)
    processes.stop("short")
    processes.stop("short")
    assert processes.tail("never") == ""


def test_one_program_per_name_at_a_time(processes):
    first = processes.start("one", ["sh", "-c", "echo first; sleep 60"])
    wait_for(first, "first")
    with pytest.raises(LabError, match=f"starting one: it runs already, as process {first.pid}"):
        processes.start("one", ["sleep", "60"])
    processes.stop("one")
    assert processes.start("one", ["echo", "second"]).wait(10) == 0
    assert processes.tail("one") == "first\nsecond"


def test_all_are_stopped_in_reverse_order(processes, tmp_path):
    order = tmp_path / "order"
    for name in ("etcd", "apiserver", "scheduler"):
        script = f"trap 'echo {name} >>{order}; exit' TERM; echo ready; while :; do sleep 0.1; done"
        wait_for(processes.start(name, ["sh", "-c", script]), "ready")
    processes.stop_all()
    assert order.read_text().split() == ["scheduler", "apiserver", "etcd"]
    assert cgroups.processes(LAB.cgroup) == []


def test_killing_the_cgroup_ends_them_all(processes):
    process = processes.start("parent", ["sh", "-c", "setsid sleep 600 & echo ready; wait"])
    wait_for(process, "ready")
    cgroups.kill(LAB.cgroup)
    assert process.wait(10) == -9
    assert cgroups.processes(LAB.cgroup) == []

"""Command-line errors for a reader whose machine or input is not as it should be."""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from lab import binaries
from lab.settings import Lab
from tests.conftest import OWNER

PROJECT = Path(__file__).parent.parent.parent
NAME = f"c{os.getpid() % 100000}"


def lab(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"LAB_NAME": NAME} | environment
    return subprocess.run(
        [sys.executable, "-m", "lab", *arguments], env=env, cwd=PROJECT, capture_output=True, text=True
    )


def nothing_is_there() -> bool:
    settings = Lab(name=NAME)
    return (
        not settings.run.exists()
        and not settings.data.exists()
        and not list(Path("/sys/fs/cgroup").glob(f"*/{settings.cgroup}"))
    )


def test_status_and_env_say_how_to_start_a_lab_that_is_down():
    for command in ("status", "env"):
        answer = lab(command)
        assert answer.returncode == 1
        assert "make up" in answer.stdout + answer.stderr
        assert "Traceback" not in answer.stderr


def test_down_of_a_lab_that_never_existed_is_harmless():
    assert lab("down").returncode == 0
    assert nothing_is_there()


@pytest.mark.parametrize("name", ["", "Lab", "a/b", "x" * 21])
def test_an_invalid_name_is_rejected(name):
    answer = lab("status", LAB_NAME=name)
    assert answer.returncode == 1
    assert "LAB_NAME" in answer.stderr and "20" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("setting", ["LAB_AWS_PORT", "LAB_GKE_PORT"])
def test_a_port_in_use_starts_nothing(setting):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = lab("up", **{setting: str(port)})
    assert answer.returncode == 1
    assert str(port) in answer.stderr and "in use" in answer.stderr and f"{setting}=0" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert nothing_is_there()


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("LAB_AWS_PORT", "http", "integer"),
        ("LAB_AWS_PORT", "65536", "65535"),
        ("LAB_GKE_PORT", "-1", "0"),
        ("LAB_CACHE", "cache", "absolute"),
    ],
)
def test_an_invalid_setting_starts_nothing(setting, value, says):
    answer = lab("up", **{setting: value})
    assert answer.returncode == 1
    assert setting in answer.stderr and says in answer.stderr
    assert "Traceback" not in answer.stderr
    assert nothing_is_there()


def without(*programs: str) -> list[str]:
    """The start of a command line on a machine that lacks these programs: its mounts hide them."""
    folders = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
    files = {(Path(folder) / program).resolve() for folder in folders for program in programs}
    hide = "".join(f"mount --bind /dev/null {file} && " for file in files if file.exists())
    return ["unshare", "--mount", "sh", "-c", f'{hide}exec "$@"', "sh"]


def run_without(programs: Sequence[str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*without(*programs), *command],
        cwd=PROJECT, env=os.environ | {"LAB_NAME": NAME}, capture_output=True, text=True,
    )  # fmt: skip


def test_a_missing_program_is_named_with_its_package_and_starts_nothing():
    answer = run_without(["containerd"], sys.executable, "-m", "lab", "up")
    assert answer.returncode == 1
    assert "containerd" in answer.stderr and "apt-get install" in answer.stderr
    assert nothing_is_there()


# Not root, but able to read this Python: the user that it belongs to, or, if that is root, the user that root
# is in a user namespace of its own.
AS_OWNER = ("setpriv", f"--reuid={OWNER.st_uid}", f"--regid={OWNER.st_gid}", "--clear-groups")
AS_NOBODY = (*(AS_OWNER if OWNER.st_uid else ("unshare", "--user")), sys.executable, "-m", "lab")


@pytest.mark.parametrize("command", ["up", "down"])
def test_without_root_and_sudo_it_says_so(command):
    answer = run_without(["sudo"], *AS_NOBODY, command)
    assert answer.returncode == 1, answer.stdout
    assert "there is no sudo" in answer.stderr and "as root" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert nothing_is_there()


def test_without_root_and_sudo_nothing_can_be_installed():
    answer = run_without(["sudo", "containerd"], *AS_NOBODY, "setup")
    assert answer.returncode == 1, answer.stdout
    assert "as root: apt-get install --no-install-recommends containerd" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_doctor_lists_what_it_found():
    answer = lab("doctor")
    assert answer.returncode == 0, answer.stdout
    for word in ("containerd", "iptables", "memory", "disk", "programs"):
        assert word in answer.stdout
    assert "✗" not in answer.stdout


def test_programs_are_cached_by_content():
    assert binaries.is_built(Lab().cache)
    version = subprocess.run(
        [binaries.folder(Lab().cache) / "kubelet", "--version"], capture_output=True, text=True
    )
    assert binaries.KUBERNETES_VERSION in version.stdout

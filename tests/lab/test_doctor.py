"""`make doctor`: what is needed, what was found, and the fix."""

import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent.parent
PYTHON = shlex.quote(sys.executable)


def doctor(**environment: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"LAB_NAME": "no-such-lab", "COLUMNS": "200"} | environment
    return subprocess.run(
        [sys.executable, "-m", "lab", "doctor"], env=env, cwd=PROJECT, capture_output=True, text=True
    )


def rows(answer: subprocess.CompletedProcess[str]) -> dict[str, list[str]]:
    """By prerequisite: whether it is met, what was found, and the fix."""
    lines = [[cell.strip() for cell in line.split("│")] for line in answer.stdout.splitlines() if "│" in line]
    return {wanted: [met, found, fix] for _, met, wanted, found, fix, _ in lines if met}


def test_a_machine_that_has_everything():
    answer = doctor()
    assert answer.returncode == 0, answer.stdout + answer.stderr
    listed = rows(answer)
    for wanted in ("root, or sudo", "Python 3.11 to 3.13", "curl 7.75 or newer", "4 GB of free memory"):
        met, found, fix = listed[wanted]
        assert met == "✓" and found and not fix, wanted


def test_an_old_curl_is_distinguished_from_a_new_one(tmp_path):
    old = tmp_path / "curl"
    old.write_text("#!/bin/sh\necho 'curl 7.68.0 (x86_64-pc-linux-gnu) libcurl/7.68.0'\n")
    old.chmod(0o755)
    answer = doctor(PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert answer.returncode == 1
    assert rows(answer)["curl 7.75 or newer"] == ["✗", "curl 7.68.0", "install a newer curl"]


def test_a_port_in_use_and_a_free_one():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        answer = doctor(LAB_AWS_PORT=str(port))
        assert answer.returncode == 1
        assert rows(answer)[f"LAB_AWS_PORT={port}"] == ["✗", "taken", "choose another LAB_AWS_PORT"]
    free = doctor(LAB_AWS_PORT=str(port))
    assert rows(free)[f"LAB_AWS_PORT={port}"][:2] == ["✓", "free"]


@pytest.mark.parametrize(
    ("gone", "hidden"),
    [("ptp", "/usr/lib/cni"), ("/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/certs")],
    ids=["CNI", "certificates"],
)
def test_a_missing_package_has_the_command_that_installs_it(gone, hidden):
    """In its own mount namespace that folder is empty."""
    command = f"mount -t tmpfs none {hidden} && exec {PYTHON} -m lab doctor"
    answer = subprocess.run(
        ["unshare", "--mount", "sh", "-c", command],
        env=os.environ | {"COLUMNS": "200"},
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 1, answer.stderr
    ((met, found, fix),) = [row for wanted, row in rows(answer).items() if wanted.startswith(gone)]
    assert (met, found) == ("✗", "missing")
    assert "apt-get install --no-install-recommends" in fix


def test_an_offline_machine_has_commands_that_give_it_an_address():
    """In its own network namespace it has none; the fix is tried there."""

    def offline(*before: str) -> list[str]:
        command = " && ".join(["ip link set lo up", *before, f"exec {PYTHON} -m lab doctor"])
        words = ["unshare", "--net", "sh", "-c", command]
        env = os.environ | {"COLUMNS": "300"}
        answer = subprocess.run(words, env=env, cwd=PROJECT, capture_output=True, text=True)
        (row,) = [row for wanted, row in rows(answer).items() if wanted.startswith("an address other than")]
        return row

    met, found, fix = offline()
    assert (met, found) == ("✗", "none")
    assert offline(fix) == ["✓", "192.0.2.1/32", ""]

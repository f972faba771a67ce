"""One lab, of a name of its own, for the whole session: the reader's lab is never touched."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import binaries, packages
from lab.progress import Progress
from lab.settings import Lab

PROJECT = Path(__file__).parent.parent
LAB_NAME = os.environ.get("PYTEST_LAB_NAME", "pytest")  # several checkouts may test at once


@pytest.fixture(scope="session")
def programs() -> Path:
    """The folder of kubectl, istioctl, kube-apiserver and the others."""
    return binaries.folder(Lab().cache)


@pytest.fixture(scope="session")
def lab_environment(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A running lab: the environment that `python -m lab env` gives to anyone's tools.

    Its home is an empty one, so that a test can look what was written there.
    """
    home, caches = tmp_path_factory.mktemp("home"), Lab().cache.parent
    environment = os.environ | {"LAB_NAME": LAB_NAME, "HOME": str(home), "XDG_CACHE_HOME": str(caches)}
    lab_command(environment, "down")
    shutil.rmtree(PROJECT / "build" / LAB_NAME, ignore_errors=True)  # an earlier session's certificates
    lab_command(environment, "up")
    yield environment | exports(lab_command(environment, "env"))
    lab_command(environment, "down")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Debian's, installed like the lab's own packages where it is missing."""
    packages.install(Progress(), [packages.BROWSER])
    found = packages.BROWSER.found()
    assert found
    return found


@contextmanager
def fresh_lab(name: str) -> Iterator[dict[str, str]]:
    """A lab of that name with empty clouds, and what `python -m lab env` gives; down at the end.

    Where the block fails it stays up, to look at.
    """
    environment = os.environ | {"LAB_NAME": name}
    lab_command(environment, "down")
    lab_command(environment, "up")
    yield environment | exports(lab_command(environment, "env"))
    lab_command(environment, "down")


def lab_command(environment: dict[str, str], *arguments: str) -> str:
    """Run `python -m lab`; returns what it printed, and fails the test with its message."""
    answer = subprocess.run(
        [sys.executable, "-m", "lab", *arguments],
        env=environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def exports(lines: str) -> dict[str, str]:
    """What a shell would make of `eval "$(python -m lab env)"`."""
    names = re.findall(r"^export (\w+)=", lines, re.M)
    script = f"{lines}\nfor name in {' '.join(names)}; do printf '%s\\0' \"$name=${{!name}}\"; done"
    answer = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    return dict(pair.split("=", 1) for pair in answer.stdout.split("\0") if pair)

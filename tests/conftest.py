"""One lab per worker, each with its own name: the reader's lab is never touched."""

import fcntl
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from xdist.scheduler import LoadScopeScheduling

from helpers.base.settings import current
from lab import binaries, packages
from lab.network import Internet
from lab.progress import Progress
from lab.settings import Lab
from tests import messy

PROJECT = Path(__file__).parent.parent
NAME = os.environ.get("PYTEST_LAB_NAME", "pytest")  # several checkouts may run tests at the same time
OWNER = Path(sys.prefix).stat()  # can read this checkout and its Python, which others may not
LAB_NAME = "-".join(filter(None, [NAME, os.environ.get("PYTEST_XDIST_WORKER")]))
# Modules whose tests run in one worker because they share a lab; any other module is its own group.
# The groups start in this order, the longest ones first, and so do the modules of a group.
GROUPS = {
    "meshes": [
        "pasting/test_pasting.py",
        "test_late.py",
        "test_second_user.py",
        "test_series.py",
        "conformance/test_traffic.py",
        "conformance/test_authorization.py",
        "conformance/test_egress.py",
        "conformance/test_ingress.py",
        "conformance/test_dns.py",
        "conformance/test_stock_envoy.py",
        "conformance/test_mutual_tls.py",  # restarts istiod
        "test_beyond.py",
        "test_series_removed.py",  # leaves no mesh
    ],
    "real accounts": ["test_real_accounts.py"],
    "empty lab": [
        "test_base.py",
        "test_cleanup.py",
        "test_empty_lab.py",
        "test_faults.py",
        "test_series_in_jupyterlab.py",
    ],
    "lab's life cycle": ["lab/test_lifecycle.py"],
    "clusters": [
        "lab/cluster/test_admission.py",
        "lab/cluster/test_cluster.py",
        "lab/cluster/test_images_in_pods.py",
        "lab/cluster/test_load_balancers.py",
        "lab/cluster/test_profiles.py",
    ],
}
PLACES = {f"tests/{module}": place for place, modules in enumerate(GROUPS.values()) for module in modules}


def pytest_sessionstart(session: pytest.Session) -> None:
    """Clean up what workers of a crashed session left; this session may have fewer workers."""
    if session.config.getoption("numprocesses", None):
        for folder in Lab().run.parent.glob(f"{NAME}-gw*"):
            lab_command(os.environ | {"LAB_NAME": folder.name}, "down")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = list(PLACES)
    items.sort(
        key=lambda item: order.index(_module(item.nodeid)) if _module(item.nodeid) in PLACES else len(order)
    )


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    config.option.loadscopereorder = False
    return ByGroup(config, log)


class ByGroup(LoadScopeScheduling):
    """Assigns whole groups to workers. (xdist's `loadgroup` needs an API that pytest 9.2 removed.)"""

    def _split_scope(self, nodeid: str) -> str:
        module = _module(nodeid)
        return str(PLACES.get(module, module))


def _module(nodeid: str) -> str:
    return nodeid.partition("::")[0]


@pytest.fixture
def monkeypatch(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Settings are read once per process; when a test changes the environment, they are read again."""

    def read_again(change: Callable[..., None]) -> Callable[..., None]:
        def changed(*args: Any, **kwargs: Any) -> None:
            change(*args, **kwargs)
            current.cache_clear()

        return changed

    monkeypatch.setenv = read_again(monkeypatch.setenv)  # type: ignore[method-assign]
    monkeypatch.delenv = read_again(monkeypatch.delenv)  # type: ignore[method-assign]
    with patch.dict(os.environ):  # which reading the settings changes
        yield monkeypatch
    current.cache_clear()


@pytest.fixture(scope="module")
def internet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    """The lab's internet, up, for the networks of the emulated Google Cloud."""
    from tests.lab.gcp.stand_in import internet_in  # imports Google's clients, which is slow

    with internet_in(tmp_path_factory.mktemp("internet")) as internet:
        yield internet


@pytest.fixture(scope="session")
def programs() -> Path:
    """The folder that contains kubectl, istioctl, kube-apiserver, and the other programs."""
    return binaries.folder(Lab().cache)


@pytest.fixture(scope="session")
def empty_lab(programs: Path) -> Iterator[dict[str, str]]:
    """A running lab with empty clouds: the environment that `python -m lab env` exports.

    Each test deletes what it creates.
    """
    with fresh_lab(LAB_NAME) as environment:
        yield environment


@pytest.fixture(scope="session")
def messy_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home directory whose shell configuration and files are set up for other work."""
    return messy.home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def meshes(programs: Path, messy_home: Path) -> Iterator[dict[str, str]]:
    """A lab after one run of the series, run as `make tutorial` does. Tests restore what they change.

    It ran in a shell with misleading settings, which must have no effect, and with the umask 077.
    """
    more = messy.shell(messy_home) | {"XDG_CACHE_HOME": str(Lab().cache.parent)}
    umask = os.umask(0o077)
    try:
        with fresh_lab(f"{NAME[:15]}-mesh", **more) as environment:
            _make_series(environment | more | messy.only_for_make(messy_home))
            os.umask(umask)
            yield environment
    finally:
        os.umask(umask)


def _make_series(environment: dict[str, str]) -> None:
    """Run the target `tutorial`, without handouts."""
    rule = "run: ; @$(PLACE) && $(BIN)/python -m series.run"
    run(environment, "make", f"BIN={shlex.quote(str(Path(sys.executable).parent))}", f"--eval={rule}", "run")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Debian's Chromium, installed if it is missing, by one worker at a time."""
    with (Lab().cache / "chromium.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        packages.install(Progress(), [packages.BROWSER])
    found = packages.BROWSER.found()
    assert found
    return found


@contextmanager
def fresh_lab(name: str, **more: str) -> Iterator[dict[str, str]]:
    """A lab of that name with empty clouds, and the output of `python -m lab env`; taken down at the end.

    If the block fails, the lab stays up for inspection.
    """
    environment = os.environ | {"LAB_NAME": name} | more
    lab_command(environment, "down")
    shutil.rmtree(PROJECT / "build" / name, ignore_errors=True)  # an earlier session's certificates
    lab_command(environment, "up")
    yield exports(environment, lab_command(environment, "env"))
    lab_command(environment, "down")


def run(environment: dict[str, str], *command: str) -> str:
    """Run a program in the project's folder and return its output; fail the test with it on an error."""
    answer = completed(environment, *command)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def completed(environment: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    """Run a program in the project's folder and return the result, whatever its exit status."""
    return subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True)


def lab_command(environment: dict[str, str], *arguments: str) -> str:
    """Run `python -m lab` and return its output; fail the test with its message on an error."""
    return run(environment, sys.executable, "-m", "lab", *arguments)


def exports(environment: dict[str, str], lines: str) -> dict[str, str]:
    """The environment of a shell after `eval "$(python -m lab env)"`."""
    script = f"{lines}\nexec env -0"
    answer = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=True)
    return dict(pair.split("=", 1) for pair in answer.stdout.split("\0") if pair)

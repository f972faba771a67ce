"""`lab exec`: root's programs get nothing from the caller; the caller's program gets all of it."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import execution, values
from lab.execution import Network
from lab.network import Namespace
from tests.conftest import OWNER

# Not root, but able to read this Python.
USER = (OWNER.st_uid, OWNER.st_gid) if OWNER.st_uid else (65534, 65534)
SHELL = ["/bin/sh", "-c"]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    namespace = Namespace(tmp_path_factory.mktemp("net") / "outside").create()
    yield Network(namespace, "198.51.100.1")
    namespace.delete()


@pytest.fixture
def run(network: Network, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    def run(
        *argv: str,
        environment: dict[str, str] | None = None,
        cwd: str = "/",
        is_disconnected: Callable[[], bool] = lambda: False,
    ) -> tuple[int, str]:
        with (tmp_path / "out").open("w+") as out, open(os.devnull) as null:
            status = execution.run(
                network,
                list(argv),
                etc=tmp_path / "etc",
                user=USER,
                files=[null.fileno(), out.fileno(), out.fileno()],
                cwd=cwd,
                environment=environment if environment is not None else {"PATH": "/usr/bin:/bin"},
                is_disconnected=is_disconnected,
            )
            out.seek(0)
            return status, out.read()

    return run


def test_nothing_from_the_callers_path_runs_as_root(run, tmp_path):
    """A real bug: a fake nsenter, first on the caller's PATH, ran as root."""
    trace = tmp_path / "who"
    for name in ("nsenter", "unshare", "sh", "mount", "setpriv", "python3"):
        fake = tmp_path / name
        fake.write_text(f"#!/bin/sh\nid -u >> {trace}\n")
        fake.chmod(0o755)
    status, said = run(*SHELL, "id -u", environment={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert (status, said) == (0, f"{USER[0]}\n")
    assert not trace.exists()


def test_the_loader_ignores_the_callers_variables_before_the_user_changes(run, tmp_path):
    preloaded = {"PATH": "/usr/bin:/bin", "LD_PRELOAD": str(tmp_path / "none.so")}
    status, said = run("/usr/bin/id", "-u", environment=preloaded)
    # The loader of `id` prints one error, and that of no program before it.
    assert status == 0 and said.count("cannot be preloaded") == 1
    assert said.endswith(f"{USER[0]}\n")


def test_the_program_has_the_callers_environment_and_folder_and_the_networks_dns(run):
    wanted = {"PATH": "/usr/bin:/bin", "two lines": "a\nb", "with-dash": "é", "UID": "7"}
    status, said = run("/usr/bin/env", "-0", environment=wanted)
    assert status == 0
    assert dict(pair.split("=", 1) for pair in said.split("\0") if pair) == wanted
    assert run("/bin/pwd", cwd="/usr") == (0, "/usr\n")
    assert run("/bin/cat", "/etc/resolv.conf") == (0, "nameserver 198.51.100.1\n")


@pytest.fixture
def nscd() -> Iterator[Path]:
    """A socket where glibc looks for nscd; the real one remains."""
    folder = Path("/run/nscd")
    made = not folder.exists()
    folder.mkdir(exist_ok=True)
    yield folder
    if made:
        folder.rmdir()


def test_names_are_resolved_only_by_the_networks_dns(run, nscd):
    """Not by the machine's /etc/hosts, and not by nscd, which glibc would query first."""
    status, said = run(
        *SHELL, "cat /etc/hosts /etc/nsswitch.conf; findmnt --noheadings --output FSTYPE /run/nscd"
    )
    assert status == 0
    assert said == "127.0.0.1 localhost\n::1 localhost\nhosts: files dns\ntmpfs\n"


def test_variables_that_bypass_the_network_are_removed(monkeypatch):
    dropped = ("HTTPS_PROXY", "all_proxy", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "RES_OPTIONS", "HOSTALIASES")
    for name in dropped:
        monkeypatch.setenv(name, "elsewhere")
    monkeypatch.setenv("MY_OWN", "kept")
    given = values.for_programs()
    assert not given.keys() & set(dropped) and given["MY_OWN"] == "kept"


@pytest.mark.parametrize(("program", "status"), [("no-such-program", 127), ("/etc/passwd", 126)])
def test_programs_that_cannot_be_run_have_a_shells_exit_status(run, program, status):
    ended, said = run(program)
    assert ended == status and program in said and "Traceback" not in said


def test_everything_ends_when_the_caller_disconnects(run):
    began = time.monotonic()
    status, _ = run(*SHELL, "sleep 98.7 & sleep 98.6", is_disconnected=lambda: time.monotonic() - began > 1)
    assert status < 0
    left = subprocess.run(["pgrep", "-f", "sleep 98.[67]"], capture_output=True, text=True)
    assert left.stdout == ""

"""Installing what is missing; a fake `apt-get` records its calls."""

import stat
from pathlib import Path

import pytest

from lab import as_root, packages
from lab.errors import LabError
from lab.packages import Need
from lab.progress import Progress


@pytest.fixture
def apt(tmp_path, monkeypatch):
    """Returns a function that installs a fake apt-get with this answer to a simulation."""
    calls = tmp_path / "calls"
    program = tmp_path / "bin/apt-get"
    program.parent.mkdir()
    monkeypatch.setattr(as_root, "PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setattr(packages, "NEEDS", [Need("lab-test-program", "lab-test-package", "a test")])

    def answers(simulation: str, install: str = "true") -> Path:
        program.write_text(
            f'#!/bin/sh\necho "$@" >>{calls}\n'
            f'case "$*" in *--simulate*) {simulation};; *install*) {install};; esac\n'
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return calls

    return answers


def asked(calls: Path) -> list[str]:
    """The packages that were really to be installed, without simulations."""
    return [line for line in calls.read_text().splitlines() if "install" in line and "--simulate" not in line]


def test_missing_packages_are_installed(apt, tmp_path):
    calls = apt("true", install=f"ln -s /bin/true {tmp_path}/bin/lab-test-program")
    packages.install(Progress())
    assert asked(calls) == ["install --no-install-recommends lab-test-package --yes"]
    assert packages.missing() == []


def test_nothing_is_installed_if_a_package_would_be_removed(apt):
    calls = apt("echo 'Remv containerd.io [1.7.24-1]'; echo 'Inst containerd (1.6.20 Debian:12)'")
    with pytest.raises(LabError, match=r"would remove containerd\.io"):
        packages.install(Progress())
    assert asked(calls) == []


def test_an_unknown_package_is_reported_with_the_one_command(apt):
    calls = apt("echo 'E: Unable to locate package lab-test-package' >&2; exit 100")
    with pytest.raises(LabError, match=r"Unable to locate(.|\n)*apt-get install .*lab-test-package"):
        packages.install(Progress())
    assert asked(calls) == []
    assert "update --quiet" in calls.read_text()  # it refreshed the index before it gave up


def test_an_installation_that_changes_nothing_is_an_error(apt):
    apt("true")
    with pytest.raises(LabError, match="still missing: lab-test-program"):
        packages.install(Progress())


def test_apt_get_is_not_run_if_nothing_is_missing(apt, monkeypatch):
    calls = apt("true")
    monkeypatch.setattr(packages, "NEEDS", [Need("sh", "dash", "a test")])
    packages.install(Progress())
    assert not calls.exists()


def test_a_program_can_be_in_any_of_its_folders(tmp_path):
    """CNI plugins are in one of three, depending on who installed them."""
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    need = Need("lab-test-plugin", "lab-test-package", "a test", ":".join(map(str, folders)))
    assert not need.found()
    (folders[1] / need.what).touch(0o755)
    assert need.found() == str(folders[1] / need.what)
    assert not Need(need.what, need.package, need.why).found()  # it is not among root's programs

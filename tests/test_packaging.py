"""Versions are in one place: pyproject.toml; the lock file and environment.yml follow it."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from lab import binaries
from lab.settings import Lab

PROJECT = Path(__file__).parent.parent


def project() -> dict:
    return tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]


def locked() -> dict[str, str]:
    return dict(
        re.findall(r"^([\w.-]+)(?:\[[^]]*])?==(\S+)", (PROJECT / "requirements.lock").read_text(), re.M)
    )


def requirements() -> list[str]:
    extras = project()["optional-dependencies"].values()
    return project()["dependencies"] + [r for extra in extras for r in extra]


@pytest.mark.parametrize("requirement", requirements())
def test_the_lock_file_has_every_requirement_in_the_pinned_version(requirement):
    name, _, version = re.sub(r"\[.*?]", "", requirement).lower().partition("==")
    assert name in locked()
    assert version in ("", locked()[name])


def test_conda_installs_the_same_pins_and_a_supported_python():
    environment = yaml.safe_load((PROJECT / "environment.yml").read_text())
    python = next(d for d in environment["dependencies"] if str(d).startswith("python="))
    assert project()["requires-python"].startswith(">=" + python.removeprefix("python="))
    pip = next(d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
    assert pip == ["--requirement requirements.lock", "--editable ."]
    assert environment["name"] == project()["name"]


def test_no_package_index_is_named():
    for name in ("requirements.lock", "pyproject.toml", "environment.yml", "setup.sh", "Makefile"):
        assert not re.search(r"https?://", (PROJECT / name).read_text()), name


def test_every_target_of_the_makefile_is_explained():
    answer = subprocess.run(["make", "help"], cwd=PROJECT, capture_output=True, text=True, check=True)
    for target in ("tutorial", "test", "lab", "up", "down", "status", "doctor", "clean", "bench", "machines"):
        assert re.search(rf"^make {target} +\w", answer.stdout, re.M), target


def test_the_workflow_of_a_code_host_runs_the_test_command_and_caches_the_built_programs():
    workflow = yaml.safe_load((PROJECT / ".github/workflows/test.yml").read_text())
    steps = workflow["jobs"]["test"]["steps"]
    assert [step["run"].endswith("make test") for step in steps if "run" in step] == [True]
    cached = next(step["with"] for step in steps if step.get("uses", "").startswith("actions/cache"))
    programs = binaries.folder(Lab().cache)
    assert cached["path"].endswith("/".join(programs.parts[-3:-1]))

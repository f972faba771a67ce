"""The images: built from this machine's programs, reproducible, and able to run."""

import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from lab import images
from lab.errors import LabError


def stand_ins(folder: Path) -> Path:
    """The content of the lab's own programs does not matter here."""
    folder.mkdir()
    for name in images.PROGRAMS:
        (folder / name).write_text(f"program {name}")
    return folder


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    return stand_ins(tmp_path / "programs")


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The file systems of two of the images."""
    folder = tmp_path_factory.mktemp("images")
    archives = images.build(stand_ins(folder / "programs"), folder)
    return {name: unpacked(archive_of(name, archives), folder / name) for name in ("curl", "proxyv2")}


def unpacked(archive: Path, folder: Path) -> Path:
    """The image's file system."""
    with tarfile.open(archive) as outer:
        layer = outer.extractfile(json.load(outer.extractfile("manifest.json"))[0]["Layers"][0])
        folder.mkdir()
        # Python's own needs an argument that 3.11.2 (Debian 12) does not have yet and 3.14 requires.
        subprocess.run(["tar", "-x", "-C", folder], input=layer.read(), check=True)
    return folder


def archive_of(image: str, archives: list[Path]) -> Path:
    return next(path for path in archives if path.name.startswith(image + "-"))


def test_the_same_inputs_give_the_same_bytes(programs: Path, tmp_path: Path) -> None:
    first = images.build(programs, tmp_path / "a")
    for name in images.PROGRAMS:
        (programs / name).touch()
    second = images.build(programs, tmp_path / "b")
    assert [path.name for path in first] == [path.name for path in second]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_only_what_changed_is_built_again(programs: Path, tmp_path: Path) -> None:
    first = images.build(programs, tmp_path)
    written = {path: path.stat().st_mtime_ns for path in first}
    (programs / "coredns").write_text("another CoreDNS")
    second = images.build(programs, tmp_path)
    new = set(second) - set(first)
    assert [path.name.partition("-")[0] for path in new] == ["coredns"]
    assert all(path.stat().st_mtime_ns == written[path] for path in set(second) & set(first))


def test_a_missing_program_is_named(programs: Path, tmp_path: Path) -> None:
    (programs / "pilot-agent").unlink()
    with pytest.raises(LabError, match="pilot-agent"):
        images.build(programs, tmp_path)


def test_a_missing_tool_is_named_with_its_package(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    with pytest.raises(LabError, match="apt-get install busybox-static"):
        images.build(programs, tmp_path)


@pytest.mark.parametrize(
    ("image", "command"),
    [
        ("curl", "curl --version"),
        ("curl", "sleep 0"),
        ("proxyv2", "iptables --version"),
        ("proxyv2", "iptables-legacy-restore --version"),
        ("proxyv2", "/usr/bin/ip -Version"),
        ("proxyv2", "envoy --version"),
    ],
)
def test_programs_in_an_image_find_their_libraries(image: str, command: str, roots: dict[str, Path]) -> None:
    enter = ["chroot", str(roots[image]), "/bin/sh", "-c", command]
    answer = subprocess.run(enter, capture_output=True, text=True, env={"PATH": images.PATH})
    assert answer.returncode == 0, answer.stderr


def test_images_contain_ca_certificates(roots: dict[str, Path]) -> None:
    assert (
        (roots["curl"] / "etc/ssl/certs/ca-certificates.crt")
        .read_bytes()
        .startswith(b"-----BEGIN CERTIFICATE")
    )

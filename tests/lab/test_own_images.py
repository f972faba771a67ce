"""The reader's own images: which archives are accepted."""

import json
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest

from lab import own_images
from lab.cluster import cluster
from lab.cluster.cluster import Cluster
from lab.errors import LabError

OCI = "io.containerd.image.name"


def archive(path: Path, **documents: Any) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, document in documents.items():
            data = json.dumps(document).encode()
            entry = tarfile.TarInfo(f"{name}.json")
            entry.size = len(data)
            tar.addfile(entry, BytesIO(data))
    return path


@pytest.mark.parametrize(
    ("documents", "names"),
    [
        (
            {"manifest": [{"RepoTags": ["web:1", "web:2"]}, {"RepoTags": ["db:1"]}]},
            ["web:1", "web:2", "db:1"],
        ),
        (
            {"index": {"manifests": [{"annotations": {OCI: "docker.io/library/web:1"}}]}},
            ["docker.io/library/web:1"],
        ),
    ],
    ids=["docker", "OCI"],
)
def test_names_are_those_in_the_archive(tmp_path: Path, documents: Any, names: list[str]) -> None:
    assert own_images.names(archive(tmp_path / "a.tar", **documents)) == names


@pytest.mark.parametrize(
    "documents",
    [{}, {"manifest": [{"RepoTags": None}]}, {"index": {"manifests": [{}]}}, {"manifest": "web"}],
    ids=["empty", "no name", "no annotation", "no list"],
)
def test_an_invalid_archive_is_rejected_with_a_hint(tmp_path: Path, documents: Any) -> None:
    with pytest.raises(LabError, match="docker save"):
        own_images.names(archive(tmp_path / "a.tar", **documents))


def test_a_file_that_is_not_an_archive_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_text("FROM scratch")
    with pytest.raises(LabError, match="docker save"):
        own_images.names(tmp_path / "a.tar")


def kept(folder: Path, source: Path) -> list[str]:
    with source.open("rb") as file, own_images.kept(folder, file.fileno()) as (_, names):
        return names


def test_the_newest_of_a_name_is_kept(tmp_path: Path) -> None:
    for tag in ("web:1", "db:1", "web:1"):
        kept(tmp_path / "own", archive(tmp_path / "a.tar", manifest=[{"RepoTags": [tag]}]))
    assert len(list((tmp_path / "own").iterdir())) == 2


def test_an_image_added_while_a_node_starts_is_on_the_node(tmp_path: Path, monkeypatch: Any) -> None:
    class SlowNode:
        def __init__(self, *_: Any) -> None:
            self.archives: list[Path] = []

        def start(self, store: Path, archives: list[Path]) -> None:
            starting.set()
            assert go_on.wait(10)

        def add_image(self, archive: Path) -> None:
            self.archives.append(archive)

    starting, go_on = threading.Event(), threading.Event()
    monkeypatch.setattr(cluster, "Node", SlowNode)
    monkeypatch.setattr(Cluster, "_prepare_images", Mock())
    spec = cluster.ClusterSpec("c", "10.0.0.1", "10.1.0.0/16", "10.1.0.10", "10.0.0.2", "10.2.0.0/16")
    made = Cluster(spec, Mock(), Mock(), MagicMock(own_images=tmp_path / "own"), tmp_path, [], Mock())
    source = archive(tmp_path / "a.tar", manifest=[{"RepoTags": ["web:1"]}])
    with ThreadPoolExecutor() as threads, source.open("rb") as file:
        threads.submit(made.start_node, "n", "10.0.0.3", {})
        assert starting.wait(10)
        adding = threads.submit(own_images.add, tmp_path / "own", file.fileno(), [made])
        wait([adding], timeout=0.3)
        go_on.set()
        assert adding.result(10) == ["web:1"]
    assert isinstance(made._node, SlowNode) and len(made._node.archives) == 1


def test_an_image_that_a_node_rejects_is_not_kept(tmp_path: Path) -> None:
    source = archive(tmp_path / "a.tar", manifest=[{"RepoTags": ["web:1"]}])
    with (
        pytest.raises(LabError),
        source.open("rb") as file,
        own_images.kept(tmp_path / "own", file.fileno()),
    ):
        raise LabError("importing an image", "no layers")
    assert not list((tmp_path / "own").iterdir())

"""Your own container images: archives, for all clusters of a lab."""

import hashlib
import json
import os
import shutil
import tarfile
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from lab.errors import LabError

_HINT = "docker save, podman save and crane pull write one"
# https://github.com/opencontainers/image-spec/blob/main/annotations.md; containerd's has the registry, too.
_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


class Cluster(Protocol):
    """Has the lock while a node starts, which takes the kept archives."""

    starting_node: threading.Lock

    def add_image(self, archive: Path) -> None:
        """Add it to the node, if there is one."""


def add(folder: Path, file: int, clusters: Sequence[Cluster]) -> list[str]:
    """Keep an open archive and add its images to these clusters; returns their names. Raises LabError."""
    with ExitStack() as no_node_starts:
        for cluster in sorted(clusters, key=id):  # two callers must not wait for each other
            no_node_starts.enter_context(cluster.starting_node)
        with kept(folder, file) as (archive, found):
            for cluster in clusters:
                cluster.add_image(archive)
    return found


@contextmanager
def kept(folder: Path, file: int) -> Iterator[tuple[Path, list[str]]]:
    """Copy an open archive; returns the copy and its images' names. Replaces earlier ones of these names.

    Raises:
        LabError: it is not an image archive.
    """
    folder.mkdir(exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=folder)
    copy = Path(name)
    try:
        with open(file, "rb", closefd=False) as source, open(descriptor, "wb") as target:
            shutil.copyfileobj(source, target)
        found = names(copy)
        yield copy, found
        digest = hashlib.sha256("\n".join(found).encode()).hexdigest()[:16]
        os.replace(copy, folder / f"{digest}.tar")
    finally:
        copy.unlink(missing_ok=True)


def names(archive: Path) -> list[str]:
    """The names of the images in a Docker or OCI archive; LabError if it is neither."""
    try:
        with tarfile.open(archive) as tar:
            if "manifest.json" in tar.getnames():
                found = [tag for each in _read(tar, "manifest.json") for tag in each.get("RepoTags") or []]
            else:
                notes = [each.get("annotations", {}) for each in _read(tar, "index.json")["manifests"]]
                found = [next(note[name] for name in _NAMES if name in note) for note in notes]
    except (tarfile.TarError, LookupError, ValueError, StopIteration, AttributeError, TypeError) as error:
        raise LabError(
            "reading an image", f"this is not an archive of a named image: {error}", _HINT
        ) from None
    if not found:
        raise LabError("reading an image", "it has no name", "docker save NAME:TAG, not an id")
    return found


def _read(tar: tarfile.TarFile, name: str) -> Any:
    file = tar.extractfile(name)
    assert file
    return json.load(file)

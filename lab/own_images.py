"""Container images that a reader brings: archives, for all clusters of a lab."""

import hashlib
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.errors import LabError

_HINT = "docker save, podman save and crane pull write one"
# https://github.com/opencontainers/image-spec/blob/main/annotations.md; containerd's has the registry, too.
_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


@contextmanager
def kept(folder: Path, file: int) -> Iterator[tuple[Path, list[str]]]:
    """A copy of an open archive, and its images' names; it stays if all goes well, in place of one so named.

    Raises:
        LabError: it is no archive of an image.
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
    """What the images are called in an archive of Docker's or of the OCI; LabError where it is none."""
    try:
        with tarfile.open(archive) as tar:
            if "manifest.json" in tar.getnames():
                found = [tag for each in _read(tar, "manifest.json") for tag in each.get("RepoTags") or []]
            else:
                notes = [each.get("annotations", {}) for each in _read(tar, "index.json")["manifests"]]
                found = [next(note[name] for name in _NAMES if name in note) for note in notes]
    except (tarfile.TarError, LookupError, ValueError, StopIteration, AttributeError, TypeError) as error:
        raise LabError(
            "reading an image", f"this is no archive of an image with a name: {error}", _HINT
        ) from None
    if not found:
        raise LabError("reading an image", "it has no name", "docker save NAME:TAG, not an id")
    return found


def _read(tar: tarfile.TarFile, name: str) -> Any:
    file = tar.extractfile(name)
    assert file
    return json.load(file)

"""The tutorial's own files in the build folder: certificates, keys, captures."""

import os
import shutil
from pathlib import Path

from helpers.base import changes, command


def write(path: Path, content: bytes, mode: int) -> None:
    """Write a file with these permissions, if its content is another."""
    if path.exists() and path.read_bytes() == content:
        return
    changes.begin(f"the file {command.relative(path)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # an existing file would keep its mode
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)


def delete(*paths: Path) -> None:
    """Delete files, and folders with what is in them, where they exist."""
    if not (found := [path for path in paths if path.exists()]):
        return
    line = command.shell_join(["rm", *(["-r"] if any(map(Path.is_dir, found)) else []), *found])
    changes.begin(line)
    for path in found:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    command.show_change(line)

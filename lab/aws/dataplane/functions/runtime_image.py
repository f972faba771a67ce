"""What every function's file system contains: Python, Lambda's runtime client and the SDK.

Copied once per machine from the lab's own Python, readable for every user, without the other packages
installed there.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from contextlib import suppress
from importlib.metadata import distribution, version
from pathlib import Path

from lab import shared_libraries

# https://docs.aws.amazon.com/lambda/latest/dg/lambda-python.html#python-sdk-included, and their dependencies.
PACKAGES = (
    "awslambdaric", "boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "simplejson", "six",
    "snapshot-restore-py", "urllib3",
)  # fmt: skip
PYTHON = "lang/bin/python3"
UNUSED = ("site-packages", "dist-packages", "test", "idlelib", "tkinter", "config-*", "ensurepip")
SYSTEM = re.compile(r"/(usr/)?lib(32|64)?/")


def build(cache: Path) -> Path:
    """The folder with `lang` and `runtime`, which Lambda has in /var; created if it does not exist."""
    made_of = [sys.version, sysconfig.get_path("stdlib"), *(f"{name} {version(name)}" for name in PACKAGES)]
    image = cache / "functions" / hashlib.sha256("\n".join(made_of).encode()).hexdigest()[:16]
    if not image.exists():
        image.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=image.parent, prefix="building-") as scratch:
            made = Path(scratch) / "image"
            _copy_python(made)
            _copy_packages(made / "runtime")
            subprocess.run([sys.executable, "-Im", "compileall", "-q", made / "runtime"], check=True)
            open_to_all(made)
            with suppress(OSError):  # another process created it
                made.rename(image)
    return image


def open_to_all(folder: Path) -> None:
    """Make the folder and its content readable for every user."""
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            mode = path.stat().st_mode & 0o777
            path.chmod(mode | (0o555 if path.is_dir() or mode & 0o100 else 0o444))


def _copy_python(image: Path) -> None:
    """The interpreter finds its library relative to itself, so the copy can be anywhere."""
    library = Path(sysconfig.get_path("stdlib"))
    copy = image / "lang/lib" / library.name
    shutil.copytree(library, copy, ignore=shutil.ignore_patterns(*UNUSED), ignore_dangling_symlinks=True)
    (image / PYTHON).parent.mkdir()
    shutil.copy2(sys.executable, image / PYTHON)
    for linked in _libraries(Path(sys.executable), *copy.glob("lib-dynload/*.so")):
        shutil.copy2(linked, image / "lang/lib" / linked.name)


def _libraries(*programs: Path) -> set[Path]:
    """The shared libraries that they are linked to, except those in the system's own folders."""
    return {path for path in shared_libraries.of(*programs) if not SYSTEM.match(str(path))}


def _copy_packages(folder: Path) -> None:
    for name in PACKAGES:
        for file in distribution(name).files or []:
            if not file.is_absolute() and ".." not in file.parts:  # a script in the environment's bin
                source, target = Path(os.fspath(file.locate())), folder / file
                if source.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(source, target)

"""Whether a program really prints a message that a page quotes; `…` stands for filled-in values."""

import ast
import importlib.util
import mmap
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from lab import binaries
from lab.settings import Lab

PROJECT = Path(__file__).parent.parent


def pieces(message: str) -> list[str]:
    """The literal parts of a message."""
    return [piece.strip() for piece in message.split("…") if piece.strip(" .")]


def literals(path: Path) -> Iterator[str]:
    """Each string of a Python file, with NUL for filled-in values."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def files(package: str) -> list[Path]:
    return sorted((PROJECT / package).rglob("*.py"))


def printed(package: str, message: str) -> bool:
    """Whether the strings of one of its files contain all literal parts of the message.

    "action: answer" is joined by the errors themselves, and values are printed as the settings print them.
    """
    wanted = [part for piece in pieces(message) for part in re.split(r": (?=[a-z])| = '[^']*': ", piece)]
    for path in files(package):
        said = list(literals(path))
        if all(any(part.strip(": ") in text for text in said) for part in wanted):
            return True
    return False


def in_stand_ins(message: str) -> bool:
    """Whether the lab's AWS or Google returns it, in the provider's words, or a test gets it (from moto)."""
    packages = ("lab/aws", "lab/gcp", "tests/lab")
    sources = [path.read_text() for package in packages for path in files(package)]
    return any(all(piece in text for piece in pieces(message)) for text in sources)


def program_files(program: str) -> list[Path]:
    """The program's file, and curl's libraries, which contain its messages."""
    if program == "istiod":
        return [binaries.folder(Lab().cache) / "pilot-discovery"]
    if program == "Envoy":
        spec = importlib.util.find_spec("envoy")
        assert spec and spec.origin
        return [Path(spec.origin).parent / "_bin/envoy"]
    if program == "curl":
        path = shutil.which("curl")
        assert path
        listed = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
        return [Path(path), *map(Path, re.findall(r"=> (/\S+)", listed))]
    return [binaries.folder(Lab().cache) / program]


def in_program(program: str, message: str) -> bool:
    """Whether one of the program's files has each part of the message; a colon joins two of them."""
    parts = [part for piece in pieces(message) for part in re.split(r": ", piece)]
    return all(any(_has(path, part) for path in program_files(program)) for part in parts)


def _has(path: Path, text: str) -> bool:
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(text.encode()) >= 0

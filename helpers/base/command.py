"""Starts programs (istioctl, curl) and prints each as a command that can be pasted into a shell."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from helpers.base import folding
from helpers.base.errors import CommandError, TimedOutError, ToolMissingError
from helpers.base.settings import ROOT, current

_FROM = {
    "istioctl": "https://istio.io/latest/docs/setup/install/istioctl/",
    "curl": "your system's package manager (package curl)",
    "openssl": "your system's package manager (package openssl)",
}
_WIDTH = 100  # columns of a printed command
_NEXT = ("|", "&&")  # before the next program
_BREAK = " \\\n    "
_WORD = re.compile(r"""(?:[^\s'"\\]|'[^']*'|"(?:[^"\\]|\\.)*"|\\.)+""")  # of a shell, with its quotes


@dataclass
class Output:
    """The result of a program. It was already printed, so a notebook displays nothing for it."""

    text: str
    exit_code: int
    errors: str = ""

    def _ipython_display_(self) -> None: ...


def relative(path: Path | str) -> str:
    """A path as a reader in the project's root would write it."""
    path = Path(path)
    return str(path.relative_to(ROOT)) if path.is_absolute() and path.is_relative_to(ROOT) else str(path)


def find(program: str) -> str:
    """The program's path; raises ToolMissingError if it is not installed."""
    path = shutil.which(program, path=current().environment()["PATH"])
    if path is None:
        source = _FROM.get(Path(program).name, "your system's package manager")
        raise ToolMissingError(f"Starting {program}", "it is not installed", f"get it from {source}")
    return path


def run_raw(
    argv: Sequence[str], *, input: str | None = None, timeout: float | None = 600, home: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a program in the project's root, whatever its exit code; raises ToolMissingError, TimedOutError.

    `timeout` is in seconds, `input` goes to its standard input. With `home`, it reads and writes its files in
    that folder, not in the reader's home directory.
    """
    program = find(argv[0])
    try:
        return subprocess.run(
            [program, *argv[1:]],
            input=(input or "").encode(),
            capture_output=True,
            env=current().environment() | ({"HOME": str(home)} if home else {}),
            cwd=ROOT,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as late:
        raise TimedOutError(shell_join(argv), f"still running after {late.timeout:g} s") from None


def run(
    argv: Sequence[str],
    *,
    input: str | None = None,
    check: bool = True,
    timeout: float | None = 600,
    home: Path | None = None,
) -> Output:
    """Like `run_raw`, for text; with `check`, an exit code other than 0 raises CommandError."""
    done = run_raw(argv, input=input, timeout=timeout, home=home)
    output = Output(
        done.stdout.decode(errors="replace"), done.returncode, done.stderr.decode(errors="replace")
    )
    if check and output.exit_code:
        raise CommandError(shell_join(argv), output.exit_code, output.errors or output.text)
    return output


def shell_join(argv: Sequence[str | Path]) -> str:
    """The command line, quoted where a shell needs it."""
    return " ".join(quoted(relative(word) if os.path.isabs(word) else str(word)) for word in argv)


def quoted(word: str) -> str:
    """The word as a shell reads it, in double quotes where it has single ones."""
    if "'" in word and not re.search(r'["$`\\!]', word):
        return f'"{word}"'
    return shlex.quote(word)


def broken(words: Sequence[str | Path]) -> str:
    """The command line for a shell, broken where it is long: ` \\` at the end, four spaces of indent."""
    return wrapped(shell_join(words))


def wrapped(line: str) -> str:
    """Like `broken`, for a line that is quoted already: an option stays with its value where that fits."""
    line = line.replace(_BREAK, " ")
    if len(line) <= _WIDTH:
        return line
    lines = [""]
    for part in _parts(line):
        full = len(f"{lines[-1]} {part}") + (6 if lines[1:] else 2) > _WIDTH
        if lines[-1] and (full or part.startswith(_NEXT)):
            lines.append("")
        lines[-1] += f" {part}" if lines[-1] else part
    return _BREAK.join(lines)


def _parts(line: str) -> Iterator[str]:
    """Options with their values, a pipe with its program; word by word where that is longer than a line."""
    part: list[str] = []
    for word in [*_WORD.findall(line), "|"]:
        if part and (word in _NEXT or word.startswith("-")):
            whole = " ".join(part)
            yield from [whole] if len(_BREAK + whole) <= _WIDTH else part
            part = []
        part.append(word)


def show(command: str, output: str = "") -> None:
    """Print a command and what the program printed, as a terminal would: it can be pasted."""
    folding.show(wrapped(command), output.rstrip())


def show_change(command: str, answer: str = "") -> None:
    """Print a command that changed something, and what it returned as comments: blocks can be pasted."""
    folding.show(wrapped(command), "\n".join(f"# → {line}" for line in answer.strip().splitlines()))

"""What a look before the start found, one line each."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from helpers.base.errors import TutorialError

_SIGNS = {"ok": "✓", "note": "!", "stop": "✗"}


@dataclass
class Finding:
    """`level` is ok, note (worth knowing) or stop (the run would fail)."""

    level: str
    subject: str
    says: str

    def __str__(self) -> str:
        return f"{_SIGNS[self.level]} {self.subject}: {self.says}"


def ok(subject: str, says: str) -> Finding:
    return Finding("ok", subject, says)


def note(subject: str, says: str) -> Finding:
    return Finding("note", subject, says)


def stop(subject: str, says: str) -> Finding:
    return Finding("stop", subject, says)


def settled(subject: str, check: Iterable[Finding]) -> Iterator[Finding]:
    """What a check finds; where it cannot go on, that is a finding too."""
    try:
        yield from check
    except TutorialError as error:
        yield stop(subject, str(error))

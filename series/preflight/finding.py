"""The findings of preflight, one line each."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

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


ok, note, stop = (partial(Finding, level) for level in _SIGNS)


def settled(subject: str, check: Iterable[Finding]) -> Iterator[Finding]:
    """The findings of a check; an error that stops it is a finding too."""
    try:
        yield from check
    except TutorialError as error:
        yield stop(subject, str(error))

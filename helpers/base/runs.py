"""Runs of the tutorial, of whatever name, told apart by the tags of what they made."""

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from helpers.base.errors import SettingsError
from helpers.base.settings import override

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_TAG_TIME, _LABEL_TIME = "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dt%H-%M-%Sz"


@dataclass
class Run:
    """What bears one TUTORIAL_NAME; `newest` is when the youngest part of it was made."""

    name: str
    newest: datetime
    domain: str = ""
    location: str = ""


def older_than(age: str, tags: Iterable[Mapping[str, str]]) -> list[Run]:
    """Runs, oldest first, all of whose parts are older than `age`, e.g. "90m", "24h", "7d".

    `tags` are those of each part of any run. A run that still makes something is young by that, however long
    it has been going. Raises SettingsError for an age that is none.
    """
    match = re.fullmatch(r"(\d+)([mhd])", age)
    if not match:
        raise SettingsError("Reading the age", f"{age!r} is none", "90m, 24h or 7d")
    before = datetime.now(UTC) - timedelta(**{_UNITS[match[2]]: int(match[1])})
    return sorted((run for run in _by_name(tags) if run.newest < before), key=lambda run: run.newest)


@contextmanager
def settings_of(run: Run) -> Iterator[None]:
    """The settings in force are that run's, with a kubeconfig of its own: this run's stays as it is."""
    known = {"TUTORIAL_DOMAIN": run.domain, "GOOGLE_CLOUD_LOCATION": run.location}
    values = {"TUTORIAL_NAME": run.name} | {name: value for name, value in known.items() if value}
    with tempfile.TemporaryDirectory() as folder, override(KUBECONFIG=f"{folder}/kubeconfig", **values):
        yield


def _by_name(tags: Iterable[Mapping[str, str]]) -> list[Run]:
    runs: dict[str, Run] = {}
    for each in tags:
        name = each.get("Project", "")
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,18}[a-z0-9]", name):
            continue
        run = runs.setdefault(name, Run(name, datetime.min.replace(tzinfo=UTC)))
        run.newest = max(run.newest, _time(each.get("Created", "")))
        run.domain = each.get("Domain", "") or run.domain
        run.location = each.get("Location", "") or run.location
    return list(runs.values())


def _time(created: str) -> datetime:
    """When; what has no readable time counts as made now, so that it is never swept."""
    for form in (_TAG_TIME, _LABEL_TIME):
        try:
            return datetime.strptime(created, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return datetime.now(UTC)

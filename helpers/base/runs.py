"""Runs of the tutorial, whatever their name, distinguished by the tags of what they created."""

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
    """The resources with one TUTORIAL_NAME; `newest` is when the newest of them was created."""

    name: str
    newest: datetime
    domain: str = ""
    location: str = ""


def older_than(age: str, tags: Iterable[Mapping[str, str]]) -> list[Run]:
    """Runs, oldest first, all of whose parts are older than `age`, e.g. "90m", "24h", "7d".

    `tags` are those of each part of any run. A run that is still creating resources has new parts, and so is
    not old, however long it has been running. Raises SettingsError for an invalid age.
    """
    match = re.fullmatch(r"(\d+)([mhd])", age)
    if not match:
        raise SettingsError("Reading the age", f"{age!r} is not an age", "90m, 24h or 7d")
    before = datetime.now(UTC) - timedelta(**{_UNITS[match[2]]: int(match[1])})
    return sorted((run for run in _by_name(tags) if run.newest < before), key=lambda run: run.newest)


@contextmanager
def settings_of(run: Run) -> Iterator[None]:
    """Use that run's settings inside the block, with a kubeconfig of its own: this run's is unchanged."""
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
    """The creation time; without a readable one it counts as now, so that it is never deleted by age."""
    for form in (_TAG_TIME, _LABEL_TIME):
        try:
            return datetime.strptime(created, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return datetime.now(UTC)

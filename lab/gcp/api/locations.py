"""A resource's location: a project and a zone or region, as in Google's resource names."""

import re
from dataclasses import dataclass

from lab.gcp.api.errors import ApiError, bad_value, invalid
from lab.settings import GOOGLE_PROJECT

ANYWHERE = "-"  # all zones and regions, in a list call


@dataclass(frozen=True)
class Location:
    """`name` is a zone such as us-central1-a, a region such as us-central1, or ANYWHERE."""

    project: str
    name: str

    @property
    def regional(self) -> bool:
        return self.name.count("-") == 1

    @property
    def region(self) -> str:
        return self.name if self.regional else self.name.rpartition("-")[0]

    @property
    def path(self) -> str:
        """Errors and links name zonal resources by `zones`, an older form."""
        return f"projects/{self.project}/{'locations' if self.regional else 'zones'}/{self.name}"

    def check(self, permission: str, resource: str = "") -> None:
        """Refuse other projects than the lab's, and unknown zones and regions."""
        if self.project != GOOGLE_PROJECT:
            target = resource or f"projects/{self.project}"
            raise ApiError("PERMISSION_DENIED", f'Required "{permission}" permission(s) for "{target}".')
        if self.name != ANYWHERE and not re.fullmatch(r"[a-z]+-[a-z]+[0-9]{1,2}(-[a-f])?", self.name):
            raise invalid(f'Location "{self.name}" does not exist.')

    def covers(self, other: "Location") -> bool:
        return self.name in (ANYWHERE, other.name)


@dataclass(frozen=True)
class Region:
    """A region, as in Compute Engine's names."""

    project: str
    name: str

    @property
    def path(self) -> str:
        return f"projects/{self.project}/regions/{self.name}"

    def check(self) -> None:
        if not re.fullmatch(r"[a-z]+-[a-z]+[0-9]{1,2}", self.name):
            raise bad_value("region", self.name, "Unknown region.")

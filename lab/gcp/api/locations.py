"""Where a resource is: a project and a zone or region, as Google writes it in names."""

import re
from dataclasses import dataclass

from lab.gcp.api.errors import ApiError, bad_value, invalid
from lab.settings import GOOGLE_PROJECT

ANYWHERE = "-"  # stands for all zones and regions in a list call


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
        """Zonal resources are still named by their zone, in errors and links."""
        return f"projects/{self.project}/{'locations' if self.regional else 'zones'}/{self.name}"

    def check(self, permission: str, resource: str = "") -> None:
        """Refuse a project that the lab's account has no part in, and what is no zone or region."""
        if self.project != GOOGLE_PROJECT:
            target = resource or f"projects/{self.project}"
            raise ApiError("PERMISSION_DENIED", f'Required "{permission}" permission(s) for "{target}".')
        if self.name != ANYWHERE and not re.fullmatch(r"[a-z]+-[a-z]+[0-9]{1,2}(-[a-f])?", self.name):
            raise invalid(f'Location "{self.name}" does not exist.')

    def covers(self, other: "Location") -> bool:
        return self.name in (ANYWHERE, other.name)


@dataclass(frozen=True)
class Region:
    """As Compute Engine names one."""

    project: str
    name: str

    @property
    def path(self) -> str:
        return f"projects/{self.project}/regions/{self.name}"

    def check(self) -> None:
        if not re.fullmatch(r"[a-z]+-[a-z]+[0-9]{1,2}", self.name):
            raise bad_value("region", self.name, "Unknown region.")

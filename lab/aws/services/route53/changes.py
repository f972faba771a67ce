"""Route 53: a change is PENDING for a moment; in moto every change is INSYNC and has the same id.

https://docs.aws.amazon.com/Route53/latest/APIReference/API_GetChange.html
"""

import secrets
import string
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.route53.exceptions import Route53ClientError
from moto.route53.responses import Route53

from lab.aws import delays

_LETTERS = string.ascii_uppercase + string.digits


def _id() -> str:
    return "C" + "".join(secrets.choice(_LETTERS) for _ in range(20))


@dataclass(frozen=True)
class Change:
    """One change of a zone and its time. The lab's DNS servers apply it at once, even while it is PENDING."""

    comment: str | None
    id: str = field(default_factory=_id)
    submitted_at: datetime = field(default_factory=utcnow)

    def info(self) -> dict[str, Any]:
        """https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeInfo.html"""
        known = (utcnow() - self.submitted_at).total_seconds() >= delays.CHANGE
        return {
            "Id": f"/change/{self.id}",
            "Status": "INSYNC" if known else "PENDING",
            "SubmittedAt": self.submitted_at,
            "Comment": self.comment,
        }


class Changes:
    """All changes of an account's zones, including deleted ones."""

    def __init__(self) -> None:
        self._changes: dict[str, Change] = {}

    def submit(self, comment: str | None) -> Change:
        change = Change(comment)
        self._changes[change.id] = change
        return change

    def find(self, id_: str) -> Change:
        """Raises NoSuchChange, with the wording of https://github.com/boto/botocore/pull/543."""
        if change := self._changes.get(id_):
            return change
        raise Route53ClientError("NoSuchChange", f"Could not find resource with ID: {id_}")


class Responses(Route53):
    """moto's responses, with a separate change in each."""

    def create_hosted_zone(self) -> ActionResult:
        return self._submitted(super().create_hosted_zone())

    def delete_hosted_zone(self) -> ActionResult:
        return self._submitted(super().delete_hosted_zone())

    def associate_vpc_with_hosted_zone(self) -> ActionResult:
        return self._submitted(super().associate_vpc_with_hosted_zone())

    def disassociate_vpc_from_hosted_zone(self) -> ActionResult:
        return self._submitted(super().disassociate_vpc_from_hosted_zone())

    def change_resource_record_sets(self) -> ActionResult:
        return self._submitted(super().change_resource_record_sets())

    def get_change(self) -> ActionResult:
        return ActionResult({"ChangeInfo": self._changes.find(self._get_param("Id")).info()})

    def _submitted(self, answer: ActionResult) -> ActionResult:
        comment = self._get_param("ChangeBatch.Comment") or self._get_param("Comment")
        change = self._changes.submit(comment)
        return ActionResult({**answer.result, "ChangeInfo": change.info()})  # type: ignore[dict-item]

    @property
    def _changes(self) -> Changes:
        return self.backend.changes  # type: ignore[attr-defined]

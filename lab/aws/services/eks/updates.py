"""EKS: a change of a cluster is an update, which moto has not got.

https://docs.aws.amazon.com/eks/latest/APIReference/API_Update.html
"""

import json
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import utcnow
from moto.eks import urls
from moto.eks.responses import EKSResponse


@dataclass
class Update:
    """As DescribeUpdate shows it. `changes` are the request's members, by their names."""

    type: str
    changes: dict[str, Any]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "InProgress"
    created_at: datetime = field(default_factory=utcnow)
    errors: list[dict[str, Any]] = field(default_factory=list)

    @property
    def params(self) -> list[dict[str, str]]:
        return [
            {"type": name[0].upper() + name[1:], "value": json.dumps(value)}
            for name, value in self.changes.items()
        ]


def serve() -> None:
    """Add the calls to those that moto serves; twice is harmless."""
    EKSResponse.update_cluster_config = _update_cluster_config  # type: ignore[method-assign]
    EKSResponse.describe_update = _describe_update  # type: ignore[attr-defined]
    EKSResponse.list_updates = _list_updates  # type: ignore[attr-defined]
    for path in ("updates", "updates/(?P<updateId>[^/]+)"):
        urls.url_paths[f"{{0}}/clusters/(?P<name>[^/]+)/{path}$"] = BaseResponse.dispatch.__get__(EKSResponse)


def _update_cluster_config(self: Any) -> ActionResult:
    given = {name: self._get_param(name) for name in ("resourcesVpcConfig", "logging")}
    return ActionResult({"update": self.eks_backend.update(self._get_param("name"), **given)})


def _describe_update(self: Any) -> ActionResult:
    found = self.eks_backend.describe_update(self._get_param("name"), self._get_param("updateId"))
    return ActionResult({"update": found})


def _list_updates(self: Any) -> ActionResult:
    updates = self.eks_backend.list_updates(self._get_param("name"))
    return ActionResult({"updateIds": [update.id for update in updates]})

"""EKS: a change of a cluster is an Update, which moto lacks.

https://docs.aws.amazon.com/eks/latest/APIReference/API_Update.html
"""

import json
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.eks.responses import EKSResponse


@dataclass
class Update:
    """As in DescribeUpdate. `changes` are the request's members, by name."""

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


class Responses(EKSResponse):
    """moto's responses, with updates."""

    def update_cluster_config(self) -> ActionResult:  # type: ignore[override]
        given = {name: self._get_param(name) for name in ("resourcesVpcConfig", "logging")}
        return ActionResult({"update": self._clusters.update(self._get_param("name"), **given)})

    def describe_update(self) -> ActionResult:
        found = self._clusters.describe_update(self._get_param("name"), self._get_param("updateId"))
        return ActionResult({"update": found})

    def list_updates(self) -> ActionResult:
        updates = self._clusters.list_updates(self._get_param("name"))
        return ActionResult({"updateIds": [update.id for update in updates]})

    @property
    def _clusters(self) -> Any:
        return self.eks_backend

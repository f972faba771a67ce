"""A load balancer: its listeners on its private addresses."""

from collections.abc import Callable
from pathlib import Path

from lab.aws.load_balancer.actions import Action
from lab.aws.load_balancer.tls import Certificate


class Balancer:
    """One Application Load Balancer.

    `name` is the resource id "app/<name>/<id>", `addresses` its private addresses (one per subnet), in the
    network namespace `namespace` (None: the machine's own, for tests). Each request appends a line to
    `access_log` and calls `record(dict)`, whose keys are the fields of AWS's access log plus `traceparent`.
    """

    def __init__(
        self,
        name: str,
        addresses: list[str],
        namespace: Path | None = None,
        access_log: Path | None = None,
        record: Callable[[dict], None] | None = None,
    ) -> None:
        self.name = name

    def set_listener(
        self,
        port: int,
        protocol: str,
        action: Callable[[], Action],
        certificate: Certificate | None = None,
    ) -> None:
        """Listen on port (protocol "HTTP" or "HTTPS"), or change the listener that is there.

        `action` is asked at each request. Raises LabError where the port cannot be listened on, ssl.SSLError
        where the certificate does not fit its key.
        """

    def remove_listener(self, port: int) -> None:
        """Stop listening on port; connections end."""

    def close(self) -> None:
        """End every listener and connection."""

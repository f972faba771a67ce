"""EC2: with DryRun, a call changes nothing and says so; moto heeds it for some calls only.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/CommonParameters.html
"""

from moto.core.responses import TYPE_RESPONSE, ActionResult
from moto.ec2.exceptions import DryRunClientError
from moto.ec2.responses import EC2Response

_call_action = EC2Response.call_action


def serve() -> None:
    """Put it in moto's way; twice is harmless."""
    EC2Response.call_action = _call  # type: ignore[assignment]


def _call(self: EC2Response) -> TYPE_RESPONSE:
    if not self._get_param("DryRun"):
        return _call_action(self)
    status, headers, body = self.serialized(ActionResult(DryRunClientError()))
    headers["status"] = status
    return status, headers, body

"""EC2: a call with DryRun changes nothing and returns an error; moto supports it for some calls only.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/CommonParameters.html
"""

from moto.core.responses import TYPE_RESPONSE, ActionResult
from moto.ec2.exceptions import DryRunClientError
from moto.ec2.responses import EC2Response


class Responses(EC2Response):
    """moto's responses, with DryRun for every call."""

    def call_action(self) -> TYPE_RESPONSE:
        if not self._get_param("DryRun"):
            return super().call_action()
        status, headers, body = self.serialized(ActionResult(DryRunClientError()))
        headers["status"] = status
        return status, headers, body

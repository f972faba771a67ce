"""EC2: with DryRun, a call changes nothing and says so; moto heeds it for some calls only.

https://docs.aws.amazon.com/AWSEC2/latest/APIReference/CommonParameters.html
"""

from moto.core.responses import TYPE_RESPONSE, ActionResult
from moto.ec2.exceptions import DryRunClientError
from moto.ec2.responses import EC2Response


class Answers(EC2Response):
    """moto's answers, where DryRun is heeded for every call."""

    def call_action(self) -> TYPE_RESPONSE:
        if not self._get_param("DryRun"):
            return super().call_action()
        status, headers, body = self.serialized(ActionResult(DryRunClientError()))
        headers["status"] = status
        return status, headers, body

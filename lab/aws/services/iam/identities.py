"""IAM and STS: the lab's access keys are known, and no others."""

from moto.core.exceptions import InvalidClientTokenIdError
from moto.iam.models import IAMBackend
from moto.sts.models import STSBackend

from lab.aws.api.principals import find
from lab.aws.backends import Backed
from lab.aws.services import refusals as refusals


class TokenService(Backed, STSBackend):
    """STS, which does not make up a user for an access key that nobody has."""

    def get_caller_identity(self, access_key_id: str, region: str) -> tuple[str, str, str]:
        principal = find(access_key_id)
        if principal is None:
            raise InvalidClientTokenIdError
        return principal.user_id, principal.arn, self.account_id


class Identities(Backed, IAMBackend):
    """IAM."""

    def delete_policy(self, policy_arn: str) -> None:
        refusals.delete_policy(self.get_policy(policy_arn))
        super().delete_policy(policy_arn)

"""IAM and STS."""

from moto.core.exceptions import InvalidClientTokenIdError
from moto.iam.exceptions import DeleteConflictException
from moto.iam.models import IAMBackend
from moto.sts.models import STSBackend

from lab.aws.api import principals
from lab.aws.context import LabBackend
from lab.aws.services.iam.simulation import Responses


class TokenService(LabBackend, STSBackend):
    """STS; unlike moto's, it does not invent a user for an unknown access key."""

    def get_caller_identity(self, access_key_id: str, region: str) -> tuple[str, str, str]:
        principal = principals.find(access_key_id)
        if principal is None:
            raise InvalidClientTokenIdError
        return principal.user_id, principal.arn, self.account_id


class Identities(LabBackend, IAMBackend):
    """IAM."""

    response_class = Responses

    def delete_policy(self, policy_arn: str) -> None:
        if self.get_policy(policy_arn).attachment_count > 0:
            raise DeleteConflictException("Cannot delete a policy attached to entities.")
        super().delete_policy(policy_arn)

    def delete_user(self, user_name: str) -> None:
        user = self.get_user(user_name)
        if self.get_groups_for_user(user_name):
            raise DeleteConflictException("Cannot delete entity, must remove user from all groups first.")
        if user.access_keys:
            raise DeleteConflictException("Cannot delete entity, must delete access keys first.")
        super().delete_user(user_name)

    def delete_group(self, group_name: str) -> None:
        group = self.get_group(group_name)
        if group.users:
            raise DeleteConflictException("Cannot delete entity, must remove users from group first.")
        if group.managed_policies:
            raise DeleteConflictException("Cannot delete entity, must detach all policies first.")
        super().delete_group(group_name)

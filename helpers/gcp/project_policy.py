"""Who has which role in the project, by its own IAM policy: what a folder grants is not in it."""

from helpers import gcp

URL = "https://cloudresourcemanager.googleapis.com"
_ALLOWED = "ask for roles/browser in the project."


def roles(member: str) -> set[str]:
    """The roles of a member, e.g. "serviceAccount:…"; raises what `client.request` does.

    https://cloud.google.com/resource-manager/reference/rest/v1/projects/getIamPolicy
    """
    from helpers.gcp import client

    action, url = "Reading the project's IAM policy", f"{URL}/v1/projects/{gcp.project()}:getIamPolicy"
    options = {"options": {"requestedPolicyVersion": 3}}  # bindings with conditions, too
    policy = client.request(action, "POST", url, _ALLOWED, json=options)
    return {binding["role"] for binding in policy.get("bindings", []) if member in binding.get("members", [])}

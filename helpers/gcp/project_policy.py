"""Roles in the project, from its own IAM policy, which does not include what a folder grants."""

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

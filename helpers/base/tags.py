"""The tags of what is created in both clouds (in Google Cloud: labels, or a description)."""

from datetime import UTC, datetime

from helpers.base.settings import current

TUTORIAL = "istio-multicloud-lambda"  # the same for all runs, whatever their TUTORIAL_NAME


def project_tags() -> dict[str, str]:
    """The run that a resource belongs to, to find it again, and its creation time, for deletion by age."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"Project": current().TUTORIAL_NAME, "Tutorial": TUTORIAL, "Created": now}

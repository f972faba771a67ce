"""The tags of what is made in both clouds (on Google's side labels, or a description)."""

from datetime import UTC, datetime

from helpers.base.settings import current

TUTORIAL = "istio-multicloud-lambda"  # what all runs share, whatever their TUTORIAL_NAME


def project_tags() -> dict[str, str]:
    """Whose it is, to find it again, and since when, for a sweep by age."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"Project": current().TUTORIAL_NAME, "Tutorial": TUTORIAL, "Created": now}

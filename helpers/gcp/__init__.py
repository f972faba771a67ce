"""Google Cloud: project and location. `client` calls Google; it takes a third of a second to import."""

from collections.abc import Callable, Iterator
from typing import Any

from helpers.base.errors import SettingsError
from helpers.base.settings import ENDPOINTS, current, of_named_clouds

SCOPES = [
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/userinfo.email",
]
TIMEOUT = 45.0  # seconds for one response


def project() -> str:
    """The project that everything is created in; raises SettingsError if none is set."""
    if name := of_named_clouds().GOOGLE_CLOUD_PROJECT:
        return name
    raise SettingsError(
        "Calling Google Cloud", "GOOGLE_CLOUD_PROJECT is not set", "set it in the settings file."
    )


def region() -> str:
    """The region of the location that clusters are made in, which may be a zone."""
    return "-".join(current().GOOGLE_CLOUD_LOCATION.split("-")[:2])


def zones() -> int:
    """In how many zones GKE creates nodes: one, or three if the location is a region.

    https://cloud.google.com/kubernetes-engine/docs/concepts/regional-clusters
    """
    return 3 if region() == current().GOOGLE_CLOUD_LOCATION else 1


def pages(get: Callable[..., dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A list's pages: what `get` answers without a token, then with each `pageToken`.

    https://google.aip.dev/158
    """
    page = get()
    yield page
    while token := page.get("nextPageToken"):
        page = get(pageToken=token)
        yield page


def overridden() -> list[str]:
    """The settings that redirect calls to Google's APIs; if any is set, APIs without one are not called."""
    return [name for name in ENDPOINTS if name.startswith("CLOUDSDK") and getattr(current(), name)]

"""Pagination of Compute Engine's lists (https://cloud.google.com/compute/docs/reference/rest/v1/routers/list)."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any

from lab.gcp.api.errors import bad_value

_MOST = 500  # results in a page


def page(resources: Sequence[Any], maximum: int | None, token: str) -> tuple[list[Any], str]:
    """At most `maximum` of them, starting at `token`, and the token of the next page."""
    if maximum is not None and maximum > _MOST:
        raise bad_value("maxResults", str(maximum), f"Must be less than or equal to {_MOST}.")
    start = _offset(token) if token else 0
    end = start + (maximum or _MOST)
    return list(resources[start:end]), _token(end) if end < len(resources) else ""


def _token(offset: int) -> str:
    return urlsafe_b64encode(f"offset {offset}".encode()).decode()


def _offset(token: str) -> int:
    try:
        return int(urlsafe_b64decode(token).decode().removeprefix("offset "))
    except ValueError as error:
        raise bad_value("pageToken", token, "Invalid page token.") from error

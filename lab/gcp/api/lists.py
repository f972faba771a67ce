"""Compute Engine's lists: filtered, then in pages (https://cloud.google.com/compute/docs/reference/rest/v1/routers/list)."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any

from lab.gcp.api.errors import ComputeError, bad_value

_MOST = 500  # results in a page
_COMPARISON = re.compile(r"""\(?\s*([\w.]+)\s*(=|!=|:|\beq\b|\bne\b)\s*("[^"]*"|'[^']*'|[^\s"']*?)\s*\)?""")


def filtered(resources: Sequence[Any], expression: str) -> list[Any]:
    """Those that match `field = value`, `!=`, `:` (has), or by a whole regular expression `eq`, `ne`.

    One comparison of a text; others are known to Google, and said to be missing here.
    """
    if not expression:
        return list(resources)
    found = _COMPARISON.fullmatch(expression.strip())
    if not found:
        if re.search(r"[=:()]|\b(eq|ne|AND|OR|NOT)\b", expression):
            raise ComputeError(501, "notImplemented", f"The lab does not serve the filter {expression}.")
        raise bad_value("filter", expression, "Invalid list filter expression.")
    name, operator, value = found.groups()
    return [one for one in resources if _matches(_text(one, name), operator, value.strip("\"'"))]


def page(resources: Sequence[Any], maximum: int | None, token: str) -> tuple[list[Any], str]:
    """At most `maximum` of them from where `token` leads to, and the token of the next page."""
    if maximum is not None and maximum > _MOST:
        raise bad_value("maxResults", str(maximum), f"Must be less than or equal to {_MOST}.")
    start = _offset(token) if token else 0
    end = start + (maximum or _MOST)
    return list(resources[start:end]), _token(end) if end < len(resources) else ""


def _matches(text: str, operator: str, value: str) -> bool:
    if operator in ("eq", "ne"):
        try:
            return bool(re.fullmatch(value, text)) == (operator == "eq")
        except re.error as error:
            raise bad_value("filter", value, "Invalid list filter expression.") from error
    if operator == ":":
        return bool(text) if value == "*" else value.lower() in text.lower()
    return (text == value) == (operator == "=")


def _text(resource: Any, name: str) -> str:
    fields = type(resource).pb(resource).DESCRIPTOR.fields_by_camelcase_name
    if name not in fields:
        raise bad_value("filter", name, "Invalid list filter expression.")
    return str(getattr(resource, fields[name].name))


def _token(offset: int) -> str:
    return urlsafe_b64encode(f"offset {offset}".encode()).decode()


def _offset(token: str) -> int:
    try:
        return int(urlsafe_b64decode(token).decode().removeprefix("offset "))
    except ValueError as error:
        raise bad_value("pageToken", token, "Invalid page token.") from error

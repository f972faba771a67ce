"""Deletes what may still be in use or already be gone, and prints the AWS CLI command of each deletion."""

import re
from collections.abc import Callable
from typing import Any

from helpers import aws
from helpers.base.errors import ApiError
from helpers.base.waiting import retry_while

_LIMIT = 600  # seconds; whatever still uses a resource is gone within minutes
# Used by something that is being deleted: try again.
_BUSY = {
    "AuthFailure",  # EC2's answer for an address whose NAT gateway is not gone yet
    "BucketNotEmpty",
    "ConflictException",
    "DeleteConflict",
    "DependencyViolation",
    "InvalidIPAddress.InUse",
    "OperationAborted",
    "OperationNotPermitted",
    "ResourceInUse",
    "ResourceInUseException",
}


def delete(service: str, operation: str, **parameters: Any) -> None:
    """Delete one resource, retried while something still uses it; it may already be gone."""
    words = " ".join([operation.replace("_", "-"), *(str(value) for value in parameters.values())])
    retry_while_busy(words, lambda: undo(service, operation, **parameters))


def retry_while_busy(what: str, do: Callable[[], bool]) -> bool:
    """Retry for ten minutes while it is refused because a resource is in use; returns what `do` returns."""
    busy = lambda error: isinstance(error, ApiError) and error.code in _BUSY  # noqa: E731
    return retry_while(what, do, busy, timeout=_LIMIT)


def undo(service: str, operation: str, **parameters: Any) -> bool:
    """Whether there was something to undo; an earlier attempt of this call may have undone it."""
    try:
        aws.change(service, operation, **parameters)
    except ApiError as refused:
        if not re.search("NotFound|NoSuch|NotAttached", refused.code) and "not found" not in refused.answer:
            raise
        return False
    return True

"""Google's errors over REST (google.rpc.Status): code, canonical status, message and details."""

from typing import Any

from google.rpc import code_pb2

# google/rpc/code.proto gives the HTTP status of each canonical code.
_HTTP = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
}
# The reason in `errors`, an older form that Google's API front end adds to the canonical status.
# https://cloud.google.com/storage/docs/json_api/v1/status-codes has these and more.
_REASONS = {
    "INVALID_ARGUMENT": "badRequest",
    "FAILED_PRECONDITION": "failedPrecondition",
    "UNAUTHENTICATED": "authError",
    "PERMISSION_DENIED": "forbidden",
    "NOT_FOUND": "notFound",
    "ALREADY_EXISTS": "alreadyExists",
    "RESOURCE_EXHAUSTED": "rateLimitExceeded",
    "INTERNAL": "backendError",
    "UNIMPLEMENTED": "notImplemented",
}


class ApiError(Exception):
    """An API's error response. `status` is a canonical code's name."""

    def __init__(self, status: str, message: str, details: list[dict[str, Any]] | None = None) -> None:
        self.status, self.message, self.details = status, message, details or []
        super().__init__(message)

    @property
    def http_status(self) -> int:
        return _HTTP[self.status]

    @property
    def grpc_code(self) -> int:
        """The number of the canonical code, for an operation's `error`."""
        return code_pb2.Code.Value(self.status)

    @property
    def body(self) -> dict[str, Any]:
        one = {"message": self.message, "domain": "global", "reason": _REASONS[self.status]}
        error: dict[str, Any] = {
            "code": self.http_status,
            "message": self.message,
            "errors": [one],
            "status": self.status,
        }
        if self.details:
            error["details"] = self.details
        return {"error": error}


class ComputeError(ApiError):
    """Compute Engine's own form, older than google.rpc.Status: a reason instead of a canonical status.

    https://cloud.google.com/compute/docs/troubleshooting/troubleshooting-api-errors
    """

    def __init__(self, http_status: int, reason: str, message: str) -> None:
        self._http_status, self.reason = http_status, reason
        super().__init__("UNKNOWN", message)

    @property
    def http_status(self) -> int:
        return self._http_status

    @property
    def body(self) -> dict[str, Any]:
        one = {"message": self.message, "domain": "global", "reason": self.reason}
        return {"error": {"code": self.http_status, "message": self.message, "errors": [one]}}


def invalid(message: str, field: str | None = None) -> ApiError:
    """INVALID_ARGUMENT; `field` is the malformed field of the request (google.rpc.BadRequest)."""
    details: list[dict[str, Any]] = []
    if field is not None:
        violation = {"field": field, "description": message} if field else {"description": message}
        details = [{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}]
    return ApiError("INVALID_ARGUMENT", message, details)


def not_found(resource: str) -> ApiError:
    return ApiError("NOT_FOUND", f"Not found: {resource}.")


def already_exists(resource: str) -> ApiError:
    return ApiError("ALREADY_EXISTS", f"Already exists: {resource}.")


def auth_info(reason: str, service: str) -> dict[str, Any]:
    """google.rpc.ErrorInfo as Google's API front end attaches it to a refused credential."""
    return {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
        "metadata": {"service": service},
    }


def bad_value(field: str, value: str, reason: str) -> ComputeError:
    """Compute's 400 `invalid`; `reason` is a sentence."""
    return ComputeError(400, "invalid", f"Invalid value for field '{field}': '{value}'. {reason}")


def missing(field: str) -> ComputeError:
    return ComputeError(400, "required", f"Required field '{field}' not specified")


def no_resource(path: str) -> ComputeError:
    return ComputeError(404, "notFound", f"The resource '{path}' was not found")


def not_ready(path: str) -> ComputeError:
    return ComputeError(400, "resourceNotReady", f"The resource '{path}' is not ready")


def not_offered(what: str) -> ComputeError:
    return ComputeError(501, "notImplemented", f"The lab does not offer {what}.")

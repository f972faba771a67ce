"""A function's version, and the result of one invocation."""

from collections.abc import Callable
from dataclasses import dataclass, field

Log = Callable[[str, str, list[str]], None]


@dataclass(frozen=True)
class FunctionVersion:
    """Code and configuration. Deploying another object with the same name is an update.

    `code` is the zip file; `timeout` is in seconds, `memory` in MB, as in Lambda's own configuration.
    `log(group, stream, lines)` gets the log lines in order, from one thread, shortly after they are written.
    """

    name: str
    arn: str
    code: bytes
    handler: str
    log: Log
    runtime: str = "python3.13"
    timeout: float = 3
    memory: int = 128
    environment: dict[str, str] = field(default_factory=dict)
    version: str = "$LATEST"

    @property
    def region(self) -> str:
        return self.arn.split(":")[3]

    @property
    def log_group(self) -> str:
        return f"/aws/lambda/{self.name}"


@dataclass(frozen=True)
class Result:
    """The answer to an Invoke call.

    `function_error` is the header X-Amz-Function-Error ("Unhandled" or None), `log_tail` the last 4 KB of the
    invocation's log (for X-Amz-Log-Result, not yet base64), `duration` in milliseconds.
    """

    payload: bytes
    request_id: str
    function_error: str | None
    log_tail: bytes
    duration: float
    version: str = "$LATEST"

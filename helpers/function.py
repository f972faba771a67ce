"""The Lambda function: role, code from lambda/, direct invocations and log lines."""

import base64
import hashlib
import io
import json
import time
import zipfile
from dataclasses import dataclass
from functools import partial
from typing import Any

from helpers import aws
from helpers.aws import cloudwatch_logs, deletion, iam
from helpers.base import command, contents, folding
from helpers.base.errors import ApiError
from helpers.base.resource import Resource
from helpers.base.settings import ROOT, current
from helpers.base.waiting import resume_after_lost_answer, wait_until

SOURCE = ROOT / "lambda"
HANDLER = "hello_world.lambda_handler"
RUNTIME = "python3.13"
_STATEMENT = "load-balancer"


@dataclass
class Function:
    """The function as AWS describes it."""

    name: str
    arn: str
    code_sha256: str
    state: str

    def _ipython_display_(self) -> None: ...


@dataclass
class Invocation:
    """The function's response to a direct invocation."""

    status: int
    headers: dict[str, str]
    body: str
    log: str

    def _ipython_display_(self) -> None: ...


def name() -> str:
    """The function's name."""
    return f"{current().TUTORIAL_NAME}-hello-world"


def log_group() -> str:
    """The log group that Lambda writes to."""
    return f"/aws/lambda/{name()}"


def package() -> bytes:
    """lambda/ as a reproducible zip, so that equal code has an equal checksum."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(SOURCE.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                entry = zipfile.ZipInfo(file.relative_to(SOURCE).as_posix())  # dated 1980-01-01
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, file.read_bytes())
    return buffer.getvalue()


def get() -> Function:
    """The function; raises PrerequisiteError if there is none."""
    return contents.require(find(), "function", f"no function {name()}")


def find() -> Function | None:
    """The function, found by its name, or None."""
    found = _configuration()
    if found is None:
        return None
    state = found.get("State", "Active")
    return Function(found["FunctionName"], found["FunctionArn"], found["CodeSha256"], state)


@folding.step()
@resume_after_lost_answer
def ensure() -> Function:
    """Create the function, or update its code if lambda/ has changed; waits until it is active."""
    role = iam.ensure("function", "lambda", "service-role/AWSLambdaBasicExecutionRole")
    cloudwatch_logs.ensure(log_group())
    code = package()
    there = find()
    if there is not None:
        _wait()  # while it is Pending or being updated, Lambda refuses to invoke or change it
    if there is None:
        _create(role, code)
        _wait()
        aws.waited("lambda", "function_active_v2", FunctionName=name())
    elif there.code_sha256 != base64.b64encode(hashlib.sha256(code).digest()).decode():
        aws.change("lambda", "update_function_code", FunctionName=name(), ZipFile=code)
        _wait()
        aws.waited("lambda", "function_updated_v2", FunctionName=name())
    else:
        print(f"Function {name()} exists, with the code in lambda/")
    return get()


def delete() -> None:
    """Delete the function, its log group and its role, if they exist."""
    deletion.delete("lambda", "delete_function", FunctionName=name())
    cloudwatch_logs.delete(log_group())
    iam.delete("function")


def leftovers() -> list[Resource]:
    """The function, its log group and its role, if they exist."""
    found = [Resource("AWS", "function", name())] if find() else []
    return found + cloudwatch_logs.leftovers(log_group()) + iam.leftovers("function")


@resume_after_lost_answer
def allow_load_balancer(target_group_arn: str) -> None:
    """Allow this target group, and no other, to invoke the function.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html
    """
    found = aws.found(
        "ResourceNotFoundException", service="lambda", operation="get_policy", FunctionName=name()
    )
    statements = json.loads(found["Policy"])["Statement"] if found else []
    ours = [statement for statement in statements if statement["Sid"] == _STATEMENT]
    if ours and f'"{target_group_arn}"' in json.dumps(ours[0].get("Condition", {})):
        return
    if ours:  # it names a target group that is gone
        aws.change("lambda", "remove_permission", FunctionName=name(), StatementId=_STATEMENT)
    aws.change(
        "lambda",
        "add_permission",
        FunctionName=name(),
        StatementId=_STATEMENT,
        Action="lambda:InvokeFunction",
        Principal="elasticloadbalancing.amazonaws.com",
        SourceArn=target_group_arn,
    )


@folding.step()
def set_handler(handler: str = HANDLER) -> None:
    """Let the function run another handler in lambda/, e.g. "faults.throw"; without one, the article's.

    Waits until it is in use.
    """
    if (_configuration() or {}).get("Handler") != handler:
        aws.change("lambda", "update_function_configuration", FunctionName=name(), Handler=handler)
        _wait()
        aws.waited("lambda", "function_updated_v2", FunctionName=name())


def throttle(on: bool) -> None:
    """Reserve a concurrency of 0, so that Lambda rejects every invocation, or remove that reservation.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
    """
    if on:
        aws.change("lambda", "put_function_concurrency", FunctionName=name(), ReservedConcurrentExecutions=0)
    else:
        aws.change("lambda", "delete_function_concurrency", FunctionName=name())


def invoke(path: str = "/hello-world", **headers: str) -> Invocation:
    """Invoke the function directly, with an event like the load balancer's.

    Raises ApiError with the function's own error if it failed.
    """
    event = {
        "requestContext": {"elb": {"targetGroupArn": "none: invoked directly"}},
        "httpMethod": "GET",
        "path": path,
        "queryStringParameters": {},
        "headers": headers,
        "body": "",
        "isBase64Encoded": False,
    }
    answer = aws.shown(
        "lambda",
        "invoke",
        show="StatusCode",
        FunctionName=name(),
        Payload=json.dumps(event, indent=2).encode(),
        LogType="Tail",
    )
    payload = json.loads(answer["Payload"].read())
    log = base64.b64decode(answer.get("LogResult", "")).decode(errors="replace")
    if "FunctionError" in answer:
        message = f"{payload.get('errorMessage')}\n{log}" if isinstance(payload, dict) else str(payload)
        raise ApiError(f"Invoking {name()}", answer["FunctionError"], message, "correct the code in lambda/.")
    return Invocation(payload["statusCode"], payload.get("headers", {}), payload["body"], log)


def log_lines(containing: str, timeout: float = 60) -> list[str]:
    """Lines of the function's log group with this text; waits up to `timeout` seconds for the first.

    Raises TimedOutError.
    """
    words = ["--log-group-name", log_group(), "--filter-pattern", f'"{containing}"']
    words += ["--query", "events[].message", "--output", "text"]
    command.show(command.shell_join(["aws", "logs", "filter-log-events", *words]))
    return wait_until(
        f"“{containing}” in {log_group()}",
        partial(_logged, containing),
        bool,
        timeout=timeout,
        event=True,
        state=lambda lines: f"{len(lines)} lines",
        hint="check that the request reached the function.",
    )


def invocations(containing: str, at_least: int = 1, timeout: float = 120) -> int:
    """How many lines of the log group have this text, once no more arrive; raises TimedOutError.

    CloudWatch returns lines some seconds after they were written, so the first ones need `at_least`.
    """
    counts = [-1] * 3

    def probe() -> list[int]:
        counts.append(len(_logged(containing)))
        return counts[-3:]

    settled = lambda last: len({*last}) == 1 and last[-1] >= at_least  # noqa: E731
    what = f"the lines with “{containing}”"
    return wait_until(what, probe, settled, timeout=timeout, interval=3, state=lambda last: str(last[-1]))[-1]


def _logged(containing: str) -> list[str]:
    hour_ago = int((time.time() - 3600) * 1000)
    # The service applies the filter; quotes make it one literal term.
    parameters = {"logGroupName": log_group(), "startTime": hour_ago, "filterPattern": f'"{containing}"'}
    events = aws.list_all("logs", "filter_log_events", "events", **parameters)
    return [event["message"].rstrip() for event in events]


def _configuration() -> dict[str, Any] | None:
    found = aws.found(
        "ResourceNotFoundException", service="lambda", operation="get_function", FunctionName=name()
    )
    return found["Configuration"] if found else None


def _create(role: str, code: bytes) -> None:
    iam.retry_until_propagated(
        role,
        lambda: aws.change(
            "lambda",
            "create_function",
            show="FunctionArn",
            FunctionName=name(),
            Runtime=RUNTIME,
            Role=role,
            Handler=HANDLER,
            Code={"ZipFile": code},
            Timeout=5,
            MemorySize=128,
            Tags=aws.project_tags(),
        ),
    )


def _wait() -> None:
    def state() -> str:
        found = _configuration() or {}
        if found.get("LastUpdateStatus") == "InProgress":
            return "updating"
        return found.get("State", "Active")

    wait_until(f"function {name()}", state, lambda now: now == "Active", timeout=120)

"""Lambda. https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html and related pages."""

import base64
import binascii
import io
import json
import re
import zipfile
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

import botocore.session
from moto.awslambda.exceptions import InvalidParameterValueException, LambdaClientError
from moto.awslambda.models import LambdaFunction

from lab.aws.services.iam import roles

MAX_PAYLOAD = 6 * 1024 * 1024  # bytes of a synchronous invocation
MAX_ENVIRONMENT = 4 * 1024  # bytes of all names and values
CONCURRENCY = 10  # of a new account, and the minimum that must stay unreserved
PYTHON = "python3."
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
_RESERVED = {
    "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
}  # fmt: skip
_CANNOT = (
    "Lambda was unable to configure your environment variables because the environment variables you have "
    "provided"
)
NAME = "[a-zA-Z0-9-_]{1,64}"


def create_function(account_id: str, spec: dict[str, Any]) -> None:
    name = spec["FunctionName"].rpartition(":")[2]
    if not re.fullmatch(NAME, name):
        raise LambdaClientError(
            "ValidationException",
            f"1 validation error detected: Value '{name}' at 'functionName' failed to satisfy constraint: "
            f"Member must satisfy regular expression pattern: {NAME}",
        )
    if not spec.get("Runtime") or not spec.get("Handler"):
        raise InvalidParameterValueException(
            "Runtime and Handler are mandatory parameters for functions created with deployment packages."
        )
    configuration(spec)
    zip_file(spec["Code"])
    if not roles.assumable(account_id, spec["Role"], "lambda.amazonaws.com"):
        raise InvalidParameterValueException("The role defined for the function cannot be assumed by Lambda.")


def configuration(spec: dict[str, Any]) -> None:
    """The settings of a new function, or the changed ones."""
    _runtime(spec)
    variables = spec.get("Environment", {}).get("Variables", {})
    if reserved := [name for name in variables if name in _RESERVED]:
        raise InvalidParameterValueException(
            f"{_CANNOT} contains reserved keys that are currently not supported for modification. "
            f"Reserved keys used in this request: {', '.join(reserved)}"
        )
    if sum(len(f"{name}{value}".encode()) for name, value in variables.items()) > MAX_ENVIRONMENT:
        raise InvalidParameterValueException(f"{_CANNOT} exceeded the 4KB limit.")


def reserve(functions: Iterable[LambdaFunction], name: str, concurrency: int) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html"""
    others = sum(int(one.reserved_concurrency or 0) for one in functions if one.function_name != name)
    if CONCURRENCY - others - concurrency < CONCURRENCY:
        raise InvalidParameterValueException(
            "Specified ReservedConcurrentExecutions for function decreases account's "
            f"UnreservedConcurrentExecution below its minimum value of [{CONCURRENCY}]."
        )


def _runtime(spec: dict[str, Any]) -> None:
    name = spec.get("Runtime")
    if name is None:
        return
    shape = botocore.session.get_session().get_service_model("lambda").shape_for("Runtime")
    if name not in shape.enum:  # type: ignore[attr-defined]
        raise InvalidParameterValueException(
            f"Value {name} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: "
            f"[{', '.join(shape.enum)}] or be a valid ARN"  # type: ignore[attr-defined]
        )
    if not name.startswith(PYTHON):
        raise InvalidParameterValueException(f"The lab does not offer the runtime {name}, only Python")


def zip_file(code: dict[str, Any]) -> None:
    if "ZipFile" not in code:
        return
    try:
        with zipfile.ZipFile(io.BytesIO(base64.b64decode(code["ZipFile"]))) as archive:
            empty = not archive.namelist()
    except (zipfile.BadZipFile, binascii.Error):
        raise InvalidParameterValueException(
            "Could not unzip uploaded file. Please check your file, then try to upload again."
        ) from None
    if empty:
        raise InvalidParameterValueException("Uploaded file must be a non-empty zip")


def not_in_state(function: LambdaFunction, *states: str) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html"""
    if function.state in states:
        error = LambdaClientError(
            "ResourceConflictException",
            "The operation cannot be performed at this time. "
            f"The function is currently in the following state: {function.state}",
        )
        error.code = 409
        raise error


def updating(function: LambdaFunction) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html#functions-states-updating"""
    error = LambdaClientError(
        "ResourceConflictException",
        "The operation cannot be performed at this time. "
        f"An update is in progress for resource: {function.function_arn}",
    )
    error.code = 409
    raise error


def payload(body: bytes) -> None:
    if len(body) > MAX_PAYLOAD:
        error = LambdaClientError(
            "RequestTooLargeException",
            f"Request must be smaller than {MAX_PAYLOAD} bytes for the InvokeFunction operation",
        )
        error.code = 413
        raise error
    try:
        json.loads(body or b"{}")
    except ValueError as reason:
        raise LambdaClientError(
            "InvalidRequestContentException",
            f"Could not parse request body into json: Could not parse payload into json: {reason}",
        ) from None


def throttled(reason: str) -> LambdaClientError:
    error = LambdaClientError("TooManyRequestsException", "Rate Exceeded.")
    error.code = 429
    error.description = json.dumps({"Reason": reason, "Type": "User", "message": "Rate Exceeded."})
    return error


def add_permission(function: LambdaFunction, request: dict[str, Any]) -> None:
    if any(statement.get("Sid") == request["StatementId"] for statement in function.policy.statements):
        error = LambdaClientError(
            "ResourceConflictException",
            f"The statement id ({request['StatementId']}) provided already exists. "
            "Please provide a new statement id, or remove the existing statement.",
        )
        error.code = 409
        raise error


def allows(function: LambdaFunction, service: str, source_arn: str) -> bool:
    """Whether the function's resource policy allows this service to invoke it for this source."""
    for statement in function.policy.statements:
        condition = statement.get("Condition", {})
        source = condition.get("ArnLike", {}).get("AWS:SourceArn", "*")
        account = condition.get("StringEquals", {}).get("AWS:SourceAccount", function.account_id)
        if (
            statement.get("Effect") == "Allow"
            and statement.get("Action") in ("lambda:InvokeFunction", "lambda:*", "*")
            and statement.get("Principal") in ({"Service": service}, "*")
            and fnmatchcase(source_arn, source)
            and account == function.account_id
        ):
            return True
    return False

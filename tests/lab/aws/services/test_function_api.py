"""Lambda's API with functions that really run."""

import base64
import json
import threading
import time
from typing import Any

import pytest
import tenacity
from botocore.exceptions import ClientError

from lab.aws import delays
from lab.aws.dataplane.functions import FunctionNotFoundError, FunctionService
from lab.aws.services.lambda_.functions import Functions
from tests.lab.aws.conftest import REGION

PARAMETER = "InvalidParameterValueException"


@pytest.fixture
def functions(client):
    return client("lambda")


def test_invoke_returns_the_result_and_logs(functions, function, client):
    answer = functions.invoke(FunctionName="hello", Payload=b'{"path": "/x"}', LogType="Tail")
    assert json.load(answer["Payload"])["body"] == "hello"
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert "FunctionError" not in answer
    tail = base64.b64decode(answer["LogResult"]).decode()
    assert tail.startswith("START RequestId:") and "got /x" in tail and "REPORT RequestId:" in tail
    logs = client("logs")

    def lines():
        try:
            found = logs.filter_log_events(logGroupName="/aws/lambda/hello", filterPattern='"got /x"')
            return found["events"]
        except logs.exceptions.ResourceNotFoundException:
            return []

    for found in tenacity.Retrying(wait=tenacity.wait_fixed(0.1), stop=tenacity.stop_after_delay(10)):
        with found:
            assert [event["message"].strip() for event in lines()] == ["got /x"]
    assert "LogResult" not in functions.invoke(FunctionName="hello")


def updated(functions) -> None:
    functions.get_waiter("function_updated_v2").wait(FunctionName="hello", WaiterConfig={"Delay": 1})


def test_a_failing_function(functions, function):
    functions.update_function_configuration(FunctionName="hello", Handler="app.missing")
    updated(functions)
    answer = functions.invoke(FunctionName="hello")
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert "missing" in json.load(answer["Payload"])["errorMessage"]


def test_new_code_runs_next(functions, function, zip_of, monkeypatch):
    monkeypatch.setattr(delays, "FUNCTION", 5)
    code = zip_of("def handler(e, c): return 'new'")
    answer = functions.update_function_code(FunctionName="hello", ZipFile=code)
    assert answer["LastUpdateStatus"] == "InProgress"
    with pytest.raises(functions.exceptions.ResourceConflictException) as refused:
        functions.update_function_configuration(FunctionName="hello", Timeout=7)
    said = f"An update is in progress for resource: {function}"
    assert said in refused.value.response["Error"]["Message"]
    updated(functions)
    assert json.load(functions.invoke(FunctionName="hello")["Payload"]) == "new"


def test_invocation_types(functions, function):
    assert functions.invoke(FunctionName="hello", InvocationType="Event")["StatusCode"] == 202
    assert functions.invoke(FunctionName="hello", InvocationType="DryRun")["StatusCode"] == 204


def test_zero_reserved_concurrency_throttles(functions, function):
    functions.put_function_concurrency(FunctionName="hello", ReservedConcurrentExecutions=0)
    with pytest.raises(functions.exceptions.TooManyRequestsException) as refused:
        functions.invoke(FunctionName="hello")
    assert refused.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    functions.delete_function_concurrency(FunctionName="hello")
    assert functions.invoke(FunctionName="hello")["StatusCode"] == 200


def test_a_deleted_function_is_gone(functions, function, client, role, zip_of, monkeypatch):
    monkeypatch.setattr(delays, "FUNCTION", 5)
    functions.create_function(
        FunctionName="short-lived",
        Runtime="python3.13",
        Handler="app.handler",
        Role=role("lambda.amazonaws.com"),
        Code={"ZipFile": zip_of("def handler(e, c): pass")},
    )
    with pytest.raises(functions.exceptions.ResourceConflictException, match="following state: Pending"):
        functions.invoke(FunctionName="short-lived")
    functions.delete_function(FunctionName="short-lived")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        functions.invoke(FunctionName="short-lived")


def test_a_failed_function_can_be_deleted(functions, role, zip_of, monkeypatch):
    monkeypatch.setattr(FunctionService, "deploy", lambda *_: 1 / 0)
    monkeypatch.setattr(delays, "FUNCTION", 0.1)
    functions.create_function(
        FunctionName="failed",
        Runtime="python3.13",
        Handler="app.handler",
        Role=role("lambda.amazonaws.com"),
        Code={"ZipFile": zip_of("def handler(e, c): pass")},
    )
    for seen in tenacity.Retrying(wait=tenacity.wait_fixed(0.1), stop=tenacity.stop_after_delay(10)):
        with seen:
            configuration = functions.get_function_configuration(FunctionName="failed")
            assert configuration["State"] == "Failed"
    with pytest.raises(functions.exceptions.ResourceConflictException, match="following state: Failed"):
        functions.invoke(FunctionName="failed")
    functions.delete_function(FunctionName="failed")
    with pytest.raises(functions.exceptions.ResourceNotFoundException):
        functions.get_function(FunctionName="failed")


def test_an_update_does_not_restore_a_deleted_function(aws, functions, role, zip_of, monkeypatch):
    """It is deleted after the update has checked that it exists."""
    code = zip_of("def handler(e, c): return 1")
    functions.create_function(
        FunctionName="updated",
        Runtime="python3.13",
        Handler="app.handler",
        Role=role("lambda.amazonaws.com"),
        Code={"ZipFile": code},
    )
    functions.get_waiter("function_active_v2").wait(FunctionName="updated", WaiterConfig={"Delay": 1})
    looked, list_functions = threading.Event(), Functions.list_functions

    def slow_list(self: Functions, *arguments: Any) -> Any:
        found = list_functions(self, *arguments)
        if isinstance(threading.current_thread(), threading.Timer):  # the update, not the API
            looked.set()
            time.sleep(0.5)
        return found

    monkeypatch.setattr(Functions, "list_functions", slow_list)
    functions.update_function_code(FunctionName="updated", ZipFile=code)
    assert looked.wait(10)
    functions.delete_function(FunctionName="updated")
    time.sleep(1)
    with pytest.raises(FunctionNotFoundError):
        aws.context.peer(Functions, REGION).service.invoke("updated", b"{}")


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"Runtime": "python2.6"}, PARAMETER, "Value python2.6 at 'runtime' failed"),
        ({"Runtime": "nodejs22.x"}, PARAMETER, "only Python"),
        ({"Code": {"ZipFile": b"no zip"}}, PARAMETER, "Could not unzip uploaded file"),
        ({"Role": "arn:aws:iam::123456789012:role/for-ec2"}, PARAMETER, "cannot be assumed by Lambda"),
        ({"Role": "arn:aws:iam::123456789012:role/missing"}, PARAMETER, "cannot be assumed by Lambda"),
        ({"FunctionName": "hello"}, "ResourceConflictException", "Function already exist: hello"),
    ],
)
def test_lambda_rejects_invalid_functions(functions, function, role, zip_of, change, code, said):
    role("ec2.amazonaws.com")
    good = {
        "FunctionName": "refused",
        "Runtime": "python3.13",
        "Handler": "app.handler",
        "Role": role("lambda.amazonaws.com"),
        "Code": {"ZipFile": zip_of("def handler(e, c): pass")},
    }
    with pytest.raises(ClientError) as refused:
        functions.create_function(**good | change)
    assert refused.value.response["Error"]["Code"] == code
    assert said in refused.value.response["Error"]["Message"]
    assert all(known["FunctionName"] != "refused" for known in functions.list_functions()["Functions"])


def test_lambda_rejects_invalid_payloads_and_statements(functions, function):
    with pytest.raises(ClientError, match="InvalidRequestContentException"):
        functions.invoke(FunctionName="hello", Payload=b"{no json")
    permission = {
        "FunctionName": "hello",
        "StatementId": "once",
        "Action": "lambda:InvokeFunction",
        "Principal": "elasticloadbalancing.amazonaws.com",
    }
    functions.add_permission(**permission)
    with pytest.raises(ClientError) as refused:
        functions.add_permission(**permission)
    assert refused.value.response["Error"]["Code"] == "ResourceConflictException"
    assert "The statement id (once) provided already exists" in refused.value.response["Error"]["Message"]

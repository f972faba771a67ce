"""Lambda's execution environments: AWS's own runtime client runs every function, each in its own process."""

import dataclasses
import json
import os
import re
import zipfile

import pytest

from lab import cgroups
from lab.aws.dataplane.functions import FunctionService
from lab.processes import running
from tests.lab.aws.dataplane.alb import function, namespace, until
from tests.lab.aws.dataplane.functions import COUNT, failure, invoke, place

ARN = "arn:aws:lambda:us-east-1:123456789012:function:"


class Log:
    """The lines delivered to the log groups."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, list[str]]] = []

    def __call__(self, group: str, stream: str, lines: list[str]) -> None:
        self.calls.append((group, stream, lines))

    @property
    def text(self) -> str:
        return "\n".join(line for _, _, lines in self.calls for line in lines)


def test_the_function_gets_only_lambdas_environment(service, monkeypatch):
    monkeypatch.setenv("A_SECRET_OF_THE_DAEMON", "1")
    source = """
import os
def handler(event, context):
    rest = context.get_remaining_time_in_millis()
    return {"env": dict(os.environ), "cwd": os.getcwd(), "arn": context.invoked_function_arn, "rest": rest,
            "id": context.aws_request_id, "event": event, "trace": os.environ["_X_AMZN_TRACE_ID"]}
"""
    service.deploy(function("f", source, memory=256, environment={"MINE": "x"}, timeout=7))
    result = service.invoke("f", b'{"a": [1, "\xc3\xbc"]}')
    answer = json.loads(result.payload)
    environment = answer["env"]
    expected = {
        "AWS_LAMBDA_FUNCTION_NAME": "f",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/f",
        "AWS_REGION": "us-east-1",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "_HANDLER": "app.handler",
        "LAMBDA_TASK_ROOT": "/var/task",
        "TZ": ":UTC",
        "MINE": "x",
    }
    assert expected.items() <= environment.items() and answer["cwd"] == "/var/task"
    assert "A_SECRET_OF_THE_DAEMON" not in environment and "HOME" not in environment
    assert answer["arn"] == ARN + "f" and answer["id"] == result.request_id
    assert answer["event"] == {"a": [1, "ü"]}
    assert 0 < answer["rest"] <= 7000
    assert re.match(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=", answer["trace"])


def test_functions_run_in_the_given_namespace(tmp_path):
    with namespace() as inside:
        service = FunctionService(place(tmp_path / "f", namespace=inside))
        service.deploy(function("f", "import os\ndef handler(e, c): return os.readlink('/proc/self/ns/net')"))
        try:
            assert invoke(service) == os.readlink(inside) != os.readlink("/proc/self/ns/net")
        finally:
            service.close()


def test_a_timeout_ends_the_environment(service):
    source = COUNT.replace(
        "    n += 1", "    n += 1\n    print(os.getpid(), flush=True)\n    while event: pass"
    )
    log = Log()
    service.deploy(function("f", source, timeout=1, log=log))
    assert invoke(service)["n"] == 1
    result = service.invoke("f", b'{"wait": 1}')
    error = failure(result)
    assert error["errorType"] == "Sandbox.Timedout"
    assert error["errorMessage"] == f"RequestId: {result.request_id} Error: Task timed out after 1.00 seconds"
    assert re.search(rf"Z {result.request_id} Task timed out after 1.00 seconds\n", result.log_tail.decode())
    assert re.search(
        r"\tDuration: 1000.00 ms\tBilled Duration: 1000 ms\t.*Status: timeout", result.log_tail.decode()
    )
    assert not running(int(result.log_tail.split(b"\n")[1]))
    assert invoke(service)["n"] == 1


@pytest.mark.parametrize(
    ("ending", "message"),
    [
        ("os._exit(3)", "Runtime exited with error: exit status 3"),
        ("os._exit(0)", "Runtime exited without providing a reason"),
        ("os.kill(os.getpid(), 9)", "Runtime exited with error: signal: killed"),
    ],
)
def test_a_process_that_exits(service, ending, message):
    service.deploy(function("f", COUNT.replace("    n += 1", f"    n += 1\n    if event: {ending}")))
    assert invoke(service)["n"] == 1
    result = service.invoke("f", b'{"x": 1}')
    assert failure(result) == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {result.request_id} Error: {message}",
    }
    assert b"Status: error\tError Type: Runtime.ExitError" in result.log_tail
    assert invoke(service)["n"] == 1


def test_an_exception_keeps_the_environment(service):
    source = COUNT.replace("    n += 1", "    n += 1\n    if event: raise KeyError('such')")
    service.deploy(function("f", source))
    invoke(service)
    result = service.invoke("f", b'{"x": 1}')
    error = failure(result)
    assert (error["errorType"], error["errorMessage"]) == ("KeyError", "'such'")
    assert "raise KeyError" in "".join(error["stackTrace"])
    assert b"[ERROR] KeyError: 'such'\nTraceback" in result.log_tail
    assert invoke(service)["n"] == 3


@pytest.mark.parametrize(
    ("source", "handler", "kind", "message"),
    [
        (COUNT, "missing.handler", "Runtime.ImportModuleError", "No module named 'missing'"),
        (COUNT, "app.absent", "Runtime.HandlerNotFound", "Handler 'absent' missing on module 'app'"),
        (COUNT, "nodot", "Runtime.MalformedHandlerName", "Bad handler 'nodot'"),
        ("def handler(:", "app.handler", "Runtime.UserCodeSyntaxError", "Syntax error in module 'app'"),
        ("1/0", "app.handler", "ZeroDivisionError", "division by zero"),
        ("import os; os._exit(7)", "app.handler", "Runtime.ExitError", "exit status 7"),
    ],
)
def test_init_errors(service, source, handler, kind, message):
    service.deploy(function("f", source, handler=handler))
    result = service.invoke("f", b"{}")
    error = failure(result)
    assert error["errorType"] == kind
    assert message in error["errorMessage"]
    service.deploy(function("f", COUNT))
    assert invoke(service)["n"] == 1


def test_exceeding_the_memory_size_kills_the_function(tmp_path):
    group = f"istio-lab-pytest-{os.getpid()}"
    service = FunctionService(place(tmp_path / "f", cgroup=f"{group}/functions"))
    try:
        source = COUNT.replace("    n += 1", "    n += 1\n    x = b'x' * event['size']")
        service.deploy(function("f", source, memory=128))
        assert invoke(service, event={"size": 10_000_000})["n"] == 1
        result = service.invoke("f", b'{"size": 300000000}')
        assert failure(result)["errorType"] == "Runtime.OutOfMemory"
        assert "signal: killed" in failure(result)["errorMessage"]
        assert b"Max Memory Used: 128 MB" in result.log_tail
        service.deploy(function("f", source, memory=512))
        assert invoke(service, event={"size": 300_000_000})["n"] == 1
    finally:
        service.close()
        cgroups.remove(group)


def test_log_lines_and_tail(service):
    source = """
import sys, logging
print("while importing")
def handler(event, context):
    print("to stdout")
    sys.stderr.write("to stderr, unfinished")
    logging.getLogger().warning("logged")
    print("x" * event["size"])
"""
    log = Log()
    service.deploy(function("f", source, log=log))
    result = service.invoke("f", b'{"size": 1}')
    tail = result.log_tail.decode()
    lines = tail.splitlines()
    assert lines[0] == "while importing"
    assert lines[1] == f"START RequestId: {result.request_id} Version: $LATEST"
    assert lines[2:5] == ["to stdout", lines[3], "x"]
    assert re.fullmatch(rf"to stderr, unfinished\[WARNING\]\t.*Z\t{result.request_id}\tlogged", lines[3])
    assert lines[5] == f"END RequestId: {result.request_id}"
    assert re.fullmatch(
        rf"REPORT RequestId: {result.request_id}\tDuration: \d+\.\d\d ms\tBilled Duration: \d+ ms\t"
        r"Memory Size: 128 MB\tMax Memory Used: \d+ MB\tInit Duration: \d+\.\d\d ms\t",
        lines[6],
    )
    long = service.invoke("f", b'{"size": 9000}').log_tail
    assert len(long) == 4096 and b"REPORT" in long and b"START" not in long and b"Init Duration" not in long
    service.remove("f")
    until(lambda: log.text.count("REPORT RequestId") == 2)
    assert log.text.startswith(tail.strip())
    assert {group for group, _, _ in log.calls} == {"/aws/lambda/f"}
    (stream,) = {stream for _, stream, _ in log.calls}
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", stream)


def test_invalid_zip_files_change_nothing(service):
    service.deploy(function("f", COUNT))
    with pytest.raises(zipfile.BadZipFile):
        service.deploy(dataclasses.replace(function("f", COUNT), code=b"print()"))
    assert invoke(service)["n"] == 1


def test_large_events_and_responses(service):
    service.deploy(function("f", "def handler(event, context): return event['x'] * event['times']"))
    text = "x" * 3_000_000
    assert invoke(service, event={"x": text, "times": 1}) == text
    error = failure(service.invoke("f", json.dumps({"x": text, "times": 3}).encode()))
    assert error["errorType"] == "Function.ResponseSizeTooLarge"

"""Lambda's inside: AWS's own runtime client runs every function here, in processes of its own."""

import dataclasses
import json
import os
import re
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from lab import cgroups
from lab.aws.functions import FunctionNotFound, FunctionService, FunctionVersion, Result, TooManyRequests
from tests.lab.alb import function, namespace, until

ARN = "arn:aws:lambda:us-east-1:123456789012:function:"
COUNT = """
import os
n = 0
def handler(event, context):
    global n
    n += 1
    return {"n": n, "pid": os.getpid()}
"""
root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


class Log:
    """What arrived in the log groups."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, list[str]]] = []

    def __call__(self, group: str, stream: str, lines: list[str]) -> None:
        self.calls.append((group, stream, lines))

    @property
    def text(self) -> str:
        return "\n".join(line for _, _, lines in self.calls for line in lines)


def version(source: str, name: str = "f", **values) -> FunctionVersion:
    return function(name, source, **values)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[FunctionService]:
    service = FunctionService(tmp_path / "functions")
    yield service
    service.close()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


GATED = """
import os, socket
def handler(event, context):
    with socket.create_connection(("127.0.0.1", int(os.environ["GATE"]))) as gate:
        gate.recv(1)
    return {"pid": os.getpid(), "code": os.environ.get("CODE")}
"""


def invoke(service: FunctionService, name: str = "f", event=None) -> dict:
    result = service.invoke(name, json.dumps(event).encode())
    assert result.function_error is None, result.payload
    return json.loads(result.payload)


def failure(result: Result) -> dict:
    assert result.function_error == "Unhandled"
    return json.loads(result.payload)


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_function_gets_lambdas_environment_and_nothing_of_ours(service, monkeypatch):
    monkeypatch.setenv("A_SECRET_OF_THE_DAEMON", "1")
    source = """
import os
def handler(event, context):
    rest = context.get_remaining_time_in_millis()
    return {"env": dict(os.environ), "cwd": os.getcwd(), "arn": context.invoked_function_arn, "rest": rest,
            "id": context.aws_request_id, "event": event, "trace": os.environ["_X_AMZN_TRACE_ID"]}
"""
    service.deploy(version(source, memory=256, environment={"MINE": "x"}, timeout=7))
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
        "LAMBDA_TASK_ROOT": answer["cwd"],
        "TZ": ":UTC",
        "MINE": "x",
    }
    assert expected.items() <= environment.items()
    assert "A_SECRET_OF_THE_DAEMON" not in environment and "HOME" not in environment
    assert answer["arn"] == ARN + "f" and answer["id"] == result.request_id
    assert answer["event"] == {"a": [1, "ü"]}
    assert 0 < answer["rest"] <= 7000
    assert re.match(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=", answer["trace"])


@root
def test_functions_are_not_root(service):
    service.deploy(
        version("import os\ndef handler(e, c): return [os.getuid(), os.geteuid(), os.getgroups()]")
    )
    assert invoke(service) == [65534, 65534, []]


@root
def test_functions_run_in_the_namespace_given(tmp_path):
    with namespace() as inside:
        service = FunctionService(tmp_path / "f", namespace=inside)
        service.deploy(version("import os\ndef handler(e, c): return os.readlink('/proc/self/ns/net')"))
        try:
            assert invoke(service) == os.readlink(inside) != os.readlink("/proc/self/ns/net")
        finally:
            service.close()


def test_an_environment_is_reused(service):
    service.deploy(version(COUNT))
    answers = [invoke(service) for _ in range(3)]
    assert [answer["n"] for answer in answers] == [1, 2, 3]
    assert len({answer["pid"] for answer in answers}) == 1


def test_more_environments_under_load_up_to_the_limit(tmp_path, pool, gate):
    service = FunctionService(tmp_path / "f", concurrency=4)
    try:
        service.deploy(version(GATED, environment=gate.environment))
        first = [pool.submit(invoke, service) for _ in range(4)]
        gate.wait_for(4)
        with pytest.raises(TooManyRequests) as refused:
            service.invoke("f", b"{}")
        assert refused.value.reason == "ConcurrentInvocationLimitExceeded"
        gate.open()
        pids = {answer.result()["pid"] for answer in first}
        assert len(pids) == 4
        again = pool.submit(invoke, service)
        gate.wait_for(1)
        gate.open()
        assert again.result()["pid"] in pids
    finally:
        service.close()
    assert not any(running(pid) for pid in pids)
    assert not (tmp_path / "f").exists()


def test_reserved_concurrency(service, pool, gate):
    service.deploy(version(GATED, environment=gate.environment))
    service.reserve("f", 0)
    with pytest.raises(TooManyRequests) as refused:
        service.invoke("f", b"{}")
    assert refused.value.reason == "ReservedFunctionConcurrentInvocationLimitExceeded"
    service.reserve("f", 1)
    one = pool.submit(invoke, service)
    gate.wait_for(1)
    with pytest.raises(TooManyRequests):
        service.invoke("f", b"{}")
    service.reserve("f", None)
    two = pool.submit(invoke, service)
    gate.wait_for(2)
    gate.open()
    assert one.result()["pid"] != two.result()["pid"]


def test_a_timeout_ends_the_environment(service):
    source = COUNT.replace(
        "    n += 1", "    n += 1\n    print(os.getpid(), flush=True)\n    while event: pass"
    )
    log = Log()
    service.deploy(version(source, timeout=1, log=log))
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
def test_a_process_that_ends(service, ending, message):
    service.deploy(version(COUNT.replace("    n += 1", f"    n += 1\n    if event: {ending}")))
    assert invoke(service)["n"] == 1
    result = service.invoke("f", b'{"x": 1}')
    assert failure(result) == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {result.request_id} Error: {message}",
    }
    assert b"Status: error\tError Type: Runtime.ExitError" in result.log_tail
    assert invoke(service)["n"] == 1


def test_a_process_that_ends_between_invocations_is_replaced(service):
    service.deploy(version(COUNT))
    first = invoke(service)
    os.kill(first["pid"], 9)
    until(lambda: not running(first["pid"]))
    assert invoke(service)["n"] == 1


def test_an_exception_leaves_the_environment_in_use(service):
    source = COUNT.replace("    n += 1", "    n += 1\n    if event: raise KeyError('such')")
    service.deploy(version(source))
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
    service.deploy(version(source, handler=handler))
    result = service.invoke("f", b"{}")
    error = failure(result)
    assert error["errorType"] == kind
    assert message in error["errorMessage"]
    service.deploy(version(COUNT))
    assert invoke(service)["n"] == 1


@root
def test_memory_beyond_the_functions_size_kills_it(tmp_path):
    group = f"istio-lab-pytest-{os.getpid()}"
    service = FunctionService(tmp_path / "f", cgroup=f"{group}/functions")
    try:
        source = COUNT.replace("    n += 1", "    n += 1\n    x = b'x' * event['size']")
        service.deploy(version(source, memory=128))
        assert invoke(service, event={"size": 10_000_000})["n"] == 1
        result = service.invoke("f", b'{"size": 300000000}')
        assert failure(result)["errorType"] == "Runtime.OutOfMemory"
        assert "signal: killed" in failure(result)["errorMessage"]
        assert b"Max Memory Used: 128 MB" in result.log_tail
        service.deploy(version(source, memory=512))
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
    service.deploy(version(source, log=log))
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


def test_an_update_leaves_invocations_under_way_alone(service, pool, gate):
    old = version(GATED, environment=gate.environment | {"CODE": "old"})
    service.deploy(old)
    before = pool.submit(invoke, service)
    gate.wait_for(1)
    service.deploy(dataclasses.replace(old, environment=gate.environment | {"CODE": "new"}))
    after = pool.submit(invoke, service)
    gate.wait_for(2)
    gate.open()
    assert (before.result()["code"], after.result()["code"]) == ("old", "new")
    last = pool.submit(invoke, service)
    gate.wait_for(1)
    gate.open()
    assert last.result() == after.result()
    assert not running(before.result()["pid"])


def test_updates_under_load_lose_nothing(service, pool):
    first = version("import os\ndef handler(e, c): return int(os.environ['CODE'])", environment={"CODE": "0"})
    service.deploy(first)
    done = threading.Event()

    def hammer() -> list[int]:
        codes = []
        while not done.is_set():
            codes.append(invoke(service))
        return codes

    callers = [pool.submit(hammer) for _ in range(3)]
    for code in range(1, 6):
        service.deploy(dataclasses.replace(first, environment={"CODE": str(code)}))
        assert invoke(service) == code
    done.set()
    seen = [caller.result() for caller in callers]
    assert all(codes == sorted(codes) for codes in seen)
    assert sum(map(len, seen)) > 0


def test_removing_ends_what_runs(service, pool, gate):
    service.deploy(version(COUNT, name="idle"))
    pid = invoke(service, "idle")["pid"]
    service.deploy(version(GATED, environment=gate.environment))
    under_way: Future = pool.submit(service.invoke, "f", b"{}")
    gate.wait_for(1)
    service.remove("idle")
    service.remove("f")
    assert failure(under_way.result())["errorType"] == "Runtime.ExitError"
    assert not running(pid)
    with pytest.raises(FunctionNotFound, match="no such function"):
        service.invoke("f", b"{}")


def test_an_environment_with_nothing_to_do_ends(tmp_path):
    service = FunctionService(tmp_path / "f", idle_timeout=0.2)
    try:
        service.deploy(version(COUNT))
        pid = invoke(service)["pid"]
        until(lambda: not running(pid))
        assert invoke(service)["n"] == 1
    finally:
        service.close()


def test_code_that_is_no_zip_file_changes_nothing(service):
    service.deploy(version(COUNT))
    with pytest.raises(zipfile.BadZipFile):
        service.deploy(dataclasses.replace(version(COUNT), code=b"print()"))
    assert invoke(service)["n"] == 1


def test_large_events_and_answers(service):
    service.deploy(version("def handler(event, context): return event['x'] * event['times']"))
    text = "x" * 3_000_000
    assert invoke(service, event={"x": text, "times": 1}) == text
    error = failure(service.invoke("f", json.dumps({"x": text, "times": 3}).encode()))
    assert error["errorType"] == "Function.ResponseSizeTooLarge"

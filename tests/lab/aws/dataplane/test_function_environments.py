"""The processes that run functions: how many there are, which one is used, and when they end."""

import dataclasses
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from lab.aws.dataplane.functions import FunctionNotFoundError, FunctionService, TooManyRequestsError
from lab.processes import running
from tests.lab.aws.dataplane.alb import function, until
from tests.lab.aws.dataplane.functions import COUNT, failure, invoke, place

GATED = """
import os, socket
def handler(event, context):
    with socket.create_connection(("127.0.0.1", int(os.environ["GATE"]))) as gate:
        gate.recv(1)
    return {"pid": os.getpid(), "code": os.environ.get("CODE")}
"""


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


def test_an_environment_is_reused(service):
    service.deploy(function("f", COUNT))
    answers = [invoke(service) for _ in range(3)]
    assert [answer["n"] for answer in answers] == [1, 2, 3]
    assert len({answer["pid"] for answer in answers}) == 1


def test_load_adds_environments_up_to_the_limit(tmp_path, pool, gate):
    service = FunctionService(place(tmp_path / "f"), concurrency=4)
    try:
        service.deploy(function("f", GATED, environment=gate.environment))
        first = [pool.submit(invoke, service) for _ in range(4)]
        gate.wait_for(4)
        with pytest.raises(TooManyRequestsError) as refused:
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
    service.deploy(function("f", GATED, environment=gate.environment))
    service.reserve("f", 0)
    with pytest.raises(TooManyRequestsError) as refused:
        service.invoke("f", b"{}")
    assert refused.value.reason == "ReservedFunctionConcurrentInvocationLimitExceeded"
    service.reserve("f", 1)
    one = pool.submit(invoke, service)
    gate.wait_for(1)
    with pytest.raises(TooManyRequestsError):
        service.invoke("f", b"{}")
    service.reserve("f", None)
    two = pool.submit(invoke, service)
    gate.wait_for(2)
    gate.open()
    assert one.result()["pid"] != two.result()["pid"]


def test_a_process_that_ends_between_invocations_is_replaced(service):
    service.deploy(function("f", COUNT))
    first = invoke(service)
    os.kill(first["pid"], 9)
    until(lambda: not running(first["pid"]))
    assert invoke(service)["n"] == 1


def test_an_update_does_not_affect_running_invocations(service, pool, gate):
    old = function("f", GATED, environment=gate.environment | {"CODE": "old"})
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
    first = function(
        "f", "import os\ndef handler(e, c): return int(os.environ['CODE'])", environment={"CODE": "0"}
    )
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


def test_removal_ends_running_invocations(service, pool, gate):
    service.deploy(function("idle", COUNT))
    pid = invoke(service, "idle")["pid"]
    service.deploy(function("f", GATED, environment=gate.environment))
    under_way: Future = pool.submit(service.invoke, "f", b"{}")
    gate.wait_for(1)
    service.remove("idle")
    service.remove("f")
    assert failure(under_way.result())["errorType"] == "Runtime.ExitError"
    assert not running(pid)
    with pytest.raises(FunctionNotFoundError, match="no such function"):
        service.invoke("f", b"{}")


def test_an_idle_environment_ends(tmp_path):
    service = FunctionService(place(tmp_path / "f"), idle_timeout=0.2)
    try:
        service.deploy(function("f", COUNT))
        pid = invoke(service)["pid"]
        until(lambda: not running(pid))
        assert invoke(service)["n"] == 1
    finally:
        service.close()

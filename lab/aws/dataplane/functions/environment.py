"""Execution environments: init, then one invocation at a time, until a failure or the idle timeout."""

import datetime
import json
import queue
import secrets
import signal
import threading
import time
import uuid
from collections.abc import Callable

from lab.aws.dataplane.functions import logs
from lab.aws.dataplane.functions.process import FunctionProcess, Place
from lab.aws.dataplane.functions.runtime_api import Answer, InitError, Invocation, Ready, RuntimeApi
from lab.aws.dataplane.functions.version import FunctionVersion, Result

INIT_LIMIT = 10  # seconds; https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html


class ExecutionEnvironment:
    """One process, its runtime API and its log stream. `deliver` is Delivery.put."""

    def __init__(
        self,
        version: FunctionVersion,
        place: Place,
        deliver: Callable,
    ) -> None:
        self.version = version
        self.idle_since = 0.0
        self.usable = True
        self._process = FunctionProcess(version, place)
        self._stream = logs.stream_name(version.version)
        self._deliver = deliver
        self._tail: list[str] = []
        self._invocations: queue.SimpleQueue[Invocation | None] = queue.SimpleQueue()
        self._events: queue.SimpleQueue = queue.SimpleQueue()
        self._api: RuntimeApi | None = None
        self._init: float | None = None
        self._memory = 0
        self._starting_or_closing = threading.Lock()

    @property
    def reusable(self) -> bool:
        """Whether it can have another invocation."""
        return self.usable and not self._process.ended()

    def invoke(self, payload: bytes) -> Result:
        """Run one invocation; after a failure of the environment itself, `usable` is False."""
        request_id, self._tail = str(uuid.uuid4()), []
        event = Ready() if self._api else self._initialise()
        self._log([f"START RequestId: {request_id} Version: {self.version.version}"])
        started = time.monotonic()
        if isinstance(event, Ready):
            event = self._run(request_id, payload)
        duration = 1000 * (time.monotonic() - started)
        answer, failed, kind = self._evaluate(event, request_id)
        self._finish(request_id, duration, kind)
        tail = "\n".join([*self._tail, ""]).encode()[-logs.TAIL :]
        return Result(
            answer, request_id, "Unhandled" if failed else None, tail, duration, self.version.version
        )

    def close(self) -> None:
        """End the process and delete its files. Idempotent."""
        with self._starting_or_closing:
            self.usable = False
            if self._api:
                self._process.kill()
                self._watcher.join()
                self._api.close()
                self._api = None
                self._process.clean_up()

    def _initialise(self):
        """Init: its result (Ready, InitError, an exit status, or None after the time limit)."""
        started = time.monotonic()
        with self._starting_or_closing:
            if not self.usable:  # closed before its start
                return -signal.SIGKILL
            self._start()
        # AWS repeats an init that exceeds the limit as part of the invocation and its timeout.
        event = self._wait(INIT_LIMIT + self.version.timeout)
        self._init = 1000 * (time.monotonic() - started)
        return event

    def _start(self) -> None:
        api = RuntimeApi(self._process.listen(), self._invocations, self._events, self._process.has)
        try:
            self._process.start(api.address, self._stream)
        except BaseException:
            api.close()
            self._process.kill()
            self._process.clean_up()
            raise
        self._api = api
        self._output = logs.Output(self._process.output, self._log)
        self._watcher = threading.Thread(target=self._watch, name="function", daemon=True)
        self._watcher.start()

    def _watch(self) -> None:
        self._output.follow(self._process.descriptor)
        self.usable = False
        self._events.put(self._process.wait())

    def _run(self, request_id: str, payload: bytes):
        root = f"1-{int(time.time()):08x}-{secrets.token_hex(12)}"
        trace = f"Root={root};Parent={secrets.token_hex(8)};Sampled=0"
        deadline = int(1000 * (time.time() + self.version.timeout))
        self._invocations.put(Invocation(request_id, payload, deadline, self.version.arn, trace))
        return self._wait(self.version.timeout)

    def _wait(self, timeout: float):
        try:
            return self._events.get(timeout=timeout)
        except queue.Empty:
            return None

    def _evaluate(self, event, request_id: str) -> tuple[bytes, bool, str]:
        """The answer, whether it is an error, and the error type if the environment cannot continue."""
        if isinstance(event, Answer):
            self._memory = max(self._memory, self._process.memory_used())
            self._output.drain(all_of_it=True)
            return event.payload, event.failed, ""
        self.usable = False
        if isinstance(event, InitError):
            self._watcher.join(1)  # the runtime exits by itself, after its last log lines
            self._process.kill()
            self._watcher.join()
            return event.payload, True, json.loads(event.payload)["errorType"]
        if event is None:
            kind, text = "Sandbox.Timedout", f"Task timed out after {self.version.timeout:.2f} seconds"
            self._memory = max(self._memory, self._process.memory_used())
            self._process.kill()
            self._watcher.join()
        else:
            kind, text = "Runtime.ExitError", _exit_text(event)
            if self._process.out_of_memory():
                kind, self._memory = "Runtime.OutOfMemory", self.version.memory
        message = f"RequestId: {request_id} Error: {text}"
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        self._log([f"{now}Z {request_id} {text}"] if event is None else [message, kind])
        return json.dumps({"errorType": kind, "errorMessage": message}).encode(), True, kind

    def _finish(self, request_id: str, duration: float, kind: str) -> None:
        status = f"Status: error\tError Type: {kind}" if kind else ""
        if kind == "Sandbox.Timedout":
            duration, status = 1000 * self.version.timeout, "Status: timeout"
        report = logs.report(request_id, duration, self.version.memory, self._memory, self._init, status)
        self._init = None
        self._log([f"END RequestId: {request_id}", report])

    def _log(self, lines: list[str]) -> None:
        self._tail.extend(lines)
        self._deliver(self.version.log, self.version.log_group, self._stream, lines)


def _exit_text(status: int) -> str:
    if status == 0:
        return "Runtime exited without providing a reason"
    if status == -signal.SIGKILL:
        return "Runtime exited with error: signal: killed"
    if status < 0:
        return f"Runtime exited with error: signal: {-status}"
    return f"Runtime exited with error: exit status {status}"

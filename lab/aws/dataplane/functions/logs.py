"""Delivers a function's output to its log stream.

Wording and fields of the platform's lines:
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-view.html
"""

import os
import queue
import select
import threading
import time
import uuid
from collections.abc import Callable

from lab.aws.dataplane.functions.version import Log

TAIL = 4096  # bytes of log returned by Invoke with LogType=Tail


class Delivery:
    """Passes lines to the functions' log callbacks, in order; invocations do not wait for it."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="function-logs", daemon=True)
        self._thread.start()

    def put(self, log: Log, group: str, stream: str, lines: list[str]) -> None:
        self._queue.put((log, group, stream, lines))

    def close(self) -> None:
        """Deliver the remaining lines and end."""
        self._queue.put(None)
        self._thread.join(10)

    def _run(self) -> None:
        while item := self._queue.get():
            log, *arguments = item
            try:
                log(*arguments)
            except Exception as error:  # deletion of one log group must not stop all logging
                print(f"delivering function logs to {arguments[0]}: {error}", flush=True)


class Output:
    """The pipe with a process's output, read in whole lines from any thread."""

    def __init__(self, descriptor: int, take: Callable[[list[str]], None]) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor, self._take = descriptor, take
        self._rest, self._lock = b"", threading.Lock()

    def drain(self, all_of_it: bool = False) -> bool:
        """Read what is in the pipe now (`all_of_it`: also an unfinished line). False at its end."""
        with self._lock:
            open_, data = True, self._rest
            while True:
                try:
                    part = os.read(self.descriptor, 65536)
                except BlockingIOError:
                    break
                if not part:
                    open_ = False
                    break
                data += part
            *lines, self._rest = data.split(b"\n")
            if self._rest and (all_of_it or not open_):
                lines.append(self._rest)
                self._rest = b""
            if lines:
                self._take([_text(line) for line in lines])
            return open_

    def follow(self, process_descriptor: int) -> None:
        """Read lines until the process has ended."""
        poll = select.poll()
        poll.register(process_descriptor, select.POLLIN)
        poll.register(self.descriptor, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self.descriptor in ready and not self.drain():
                poll.unregister(self.descriptor)
            if process_descriptor in ready:
                self.drain(all_of_it=True)
                return


def _text(line: bytes) -> str:
    # awslambdaric joins the lines of one message, such as a traceback, with carriage returns.
    return line.decode(errors="replace").replace("\r", "\n")


def stream_name(version: str) -> str:
    return f"{time.strftime('%Y/%m/%d', time.gmtime())}/[{version}]{uuid.uuid4().hex}"


def report(
    request_id: str, duration: float, memory: int, used: int, init: float | None = None, status: str = ""
) -> str:
    """The REPORT line. Times in milliseconds, memory in MB.

    Since August 2025 the init phase is billed too:
    https://aws.amazon.com/blogs/compute/aws-lambda-standardizes-billing-for-init-phase/
    """
    billed = -int(-(duration + (init or 0)) // 1)
    fields = [
        f"REPORT RequestId: {request_id}",
        f"Duration: {duration:.2f} ms",
        f"Billed Duration: {billed} ms",
        f"Memory Size: {memory} MB",
        f"Max Memory Used: {used} MB",
    ]
    if init is not None:
        fields.append(f"Init Duration: {init:.2f} ms")
    return "\t".join([*fields, status])

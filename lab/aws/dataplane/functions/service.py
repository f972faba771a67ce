"""Lambda's front end: assigns invocations to environments, within the concurrency limits."""

import shutil
import threading
import time
import zipfile
from dataclasses import dataclass, field
from io import BytesIO

from lab import cgroups
from lab.aws.dataplane.functions.environment import ExecutionEnvironment
from lab.aws.dataplane.functions.errors import FunctionNotFoundError, TooManyRequestsError
from lab.aws.dataplane.functions.logs import Delivery
from lab.aws.dataplane.functions.process import Place
from lab.aws.dataplane.functions.version import FunctionVersion, Result


@dataclass
class _Function:
    version: FunctionVersion
    reserved: int | None = None
    idle: list[ExecutionEnvironment] = field(default_factory=list)
    busy: set[ExecutionEnvironment] = field(default_factory=set)


class FunctionService:
    """All functions of one account.

    `place` is where they run; its directory is deleted on close. `concurrency` is the account's limit: AWS
    gives a new account 10. An environment ends after `idle_timeout` seconds without an invocation.
    """

    def __init__(
        self,
        place: Place,
        concurrency: int = 10,
        idle_timeout: float = 300,
    ) -> None:
        self._place = place
        self._concurrency, self._idle_timeout = concurrency, idle_timeout
        self._functions: dict[str, _Function] = {}
        self._lock = threading.Lock()
        self._delivery = Delivery()
        self._closed = threading.Event()
        place.directory.mkdir(parents=True, exist_ok=True)
        place.directory.chmod(0o700)  # code, and environment variables
        threading.Thread(target=self._end_idle, name="idle-functions", daemon=True).start()

    def deploy(self, version: FunctionVersion) -> None:
        """Create or update: new invocations use this version, running ones end on the old one.

        Raises zipfile.BadZipFile if the code is not a zip file.
        """
        zipfile.ZipFile(BytesIO(version.code)).close()
        with self._lock:
            function = self._functions.setdefault(version.name, _Function(version))
            function.version, stale = version, function.idle
            function.idle = []
        _close(stale)

    def reserve(self, name: str, concurrency: int | None) -> None:
        """Reserved concurrency: 0 throttles every invocation, None removes the reservation."""
        with self._lock:
            self._get(name).reserved = concurrency

    def invoke(self, name: str, payload: bytes) -> Result:
        """Run the function and wait for its answer. Raises FunctionNotFoundError, TooManyRequestsError.

        `payload` is the event, as JSON.
        """
        environment = self._assign(name)
        try:
            return environment.invoke(payload)
        except BaseException:
            environment.usable = False
            raise
        finally:
            self._release(environment)

    def remove(self, name: str) -> None:
        """Delete the function, if it exists; its processes are killed, running invocations fail."""
        with self._lock:
            function = self._functions.pop(name, None)
        if function:
            _close([*function.idle, *function.busy])

    def close(self) -> None:
        """End all processes, deliver their last log lines, delete the code."""
        self._closed.set()
        for name in list(self._functions):
            self.remove(name)
        self._delivery.close()
        if self._place.cgroup:
            cgroups.remove(self._place.cgroup)
        shutil.rmtree(self._place.directory, ignore_errors=True)

    def _get(self, name: str) -> _Function:
        if name not in self._functions:
            raise FunctionNotFoundError(name)
        return self._functions[name]

    def _assign(self, name: str) -> ExecutionEnvironment:
        """The most recently used idle environment, or a new one within the limits.

        https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
        """
        with self._lock:
            function = self._get(name)
            if function.reserved is not None:
                if len(function.busy) >= function.reserved:
                    raise TooManyRequestsError(name, "ReservedFunctionConcurrentInvocationLimitExceeded")
            elif self._unreserved() >= self._concurrency:
                raise TooManyRequestsError(name, "ConcurrentInvocationLimitExceeded")
            stale = [one for one in function.idle if not one.reusable]
            function.idle = [one for one in function.idle if one not in stale]
            environment = function.idle.pop() if function.idle else self._environment(function.version)
            function.busy.add(environment)
        _close(stale)
        return environment

    def _environment(self, version: FunctionVersion) -> ExecutionEnvironment:
        return ExecutionEnvironment(version, self._place, self._delivery.put)

    def _unreserved(self) -> int:
        return sum(len(function.busy) for function in self._functions.values() if function.reserved is None)

    def _release(self, environment: ExecutionEnvironment) -> None:
        with self._lock:
            function = self._functions.get(environment.version.name)
            keep = False
            if function:
                function.busy.discard(environment)
                keep = environment.usable and environment.version is function.version
            if function and keep:
                environment.idle_since = time.monotonic()
                function.idle.append(environment)
        if not keep:
            environment.close()

    def _end_idle(self) -> None:
        while not self._closed.wait(self._idle_timeout / 4):
            limit = time.monotonic() - self._idle_timeout
            with self._lock:
                stale = []
                for function in self._functions.values():
                    stale += [one for one in function.idle if one.idle_since < limit]
                    function.idle = [one for one in function.idle if one.idle_since >= limit]
            _close(stale)


def _close(environments: list[ExecutionEnvironment]) -> None:
    for environment in environments:
        environment.close()

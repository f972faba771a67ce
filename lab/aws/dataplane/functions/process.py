"""The operating-system process of an execution environment."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

from lab import as_root, cgroups, processes, sockets
from lab.aws.dataplane.functions.sandbox import Sandbox
from lab.aws.dataplane.functions.version import FunctionVersion

MEGABYTE = 1024 * 1024
# Lambda's default; a function may put its own folders first.
SEARCHED = {
    "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin",
    "LD_LIBRARY_PATH": "/var/lang/lib:/var/task:/var/task/lib:/opt/lib",
    "PYTHONPATH": "/opt/python:/var/runtime",
}


@dataclass(frozen=True)
class Place:
    """Where functions run.

    Attributes:
        directory: holds a folder for each environment.
        image: what runtime_image.build returned.
        namespace: the network, or None for this machine's.
        resolver: address of that network's DNS server.
        cgroup: the parent of each environment's own group, or None for no memory limit.
    """

    directory: Path
    image: Path
    namespace: Path | None = None
    resolver: str | None = None
    cgroup: str | None = None


class FunctionProcess:
    """awslambdaric with one function's code, in a sandbox, session and cgroup of its own. Needs root."""

    def __init__(self, version: FunctionVersion, place: Place) -> None:
        self.name = f"{version.name}-{uuid.uuid4().hex[:12]}"
        self._version, self._namespace = version, place.namespace
        self._directory = place.directory / self.name
        self._sandbox = Sandbox(self._directory, place.image, place.resolver)
        self._cgroup = f"{place.cgroup}/{self.name}" if place.cgroup else None
        self._process: subprocess.Popen | None = None

    def out_of_memory(self) -> bool:
        """Whether the kernel killed it for exceeding the function's memory."""
        return self._cgroup is not None and cgroups.out_of_memory(self._cgroup)

    def listen(self) -> socket.socket:
        """The runtime API's socket, at the path in the sandbox."""
        listening = sockets.listen(("127.0.0.1", 0), self._namespace)
        listening.setblocking(True)
        return listening

    def has(self, connection: socket.socket) -> bool:
        """Whether this connection is from the process itself: other functions share its network."""
        ends = connection.getpeername(), connection.getsockname()
        return sockets.owner(*ends, self._namespace) == self._sandbox.user

    def start(self, runtime_api: str, log_stream: str) -> None:
        """Unpack the code and run it. stdout and stderr can be read from `output`."""
        self._sandbox.create(self._version.code, environment(self._version, runtime_api, log_stream))
        command = self._sandbox.command("python3", "-m", "awslambdaric", self._version.handler)
        if self._cgroup:
            cgroups.create(self._cgroup)
            cgroups.limit_memory(self._cgroup, self._version.memory * MEGABYTE)
            command = cgroups.entering(self._cgroup) + command

        def start() -> subprocess.Popen:
            return subprocess.Popen(
                command,
                cwd="/",
                env={"PATH": as_root.PATH},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

        # A process starts in the network namespace of the thread that creates it.
        process = sockets.in_namespace(self._namespace, start) if self._namespace else start()
        self._process = process
        self.descriptor = os.pidfd_open(process.pid)
        assert process.stdout
        self.output = process.stdout.fileno()

    def memory_used(self) -> int:
        """The peak resident memory in MB; 0 once the process has ended."""
        assert self._process
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return round(int(line.split()[1]) / 1024)
        return 0

    def ended(self) -> bool:
        """Whether it has ended, even if `wait` does not return yet because threads of it still do."""
        return self._process is not None and not processes.running(self._process.pid)

    def wait(self) -> int:
        """The exit status, negative for a signal. Its id stays in use until `clean_up`, for `kill`."""
        ended = os.waitid(os.P_PIDFD, self.descriptor, os.WEXITED | os.WNOWAIT)
        assert ended
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status

    def kill(self) -> None:
        """Kill the process and all its children."""
        if self._process and self._process.returncode is None:  # else another may have its id
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        if self._cgroup:
            cgroups.kill(self._cgroup)

    def clean_up(self) -> None:
        """Delete the ended process's files."""
        if self._process and self._process.stdout:
            self._process.wait()
            self._process.stdout.close()
            os.close(self.descriptor)
        if self._cgroup:
            cgroups.remove(self._cgroup)
        shutil.rmtree(self._directory, ignore_errors=True)


def environment(version: FunctionVersion, runtime_api: str, log_stream: str) -> dict[str, str]:
    """The process's environment variables: Lambda's and the function's only.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
    """
    given = version.environment
    reserved = {
        "_HANDLER": version.handler,
        "AWS_REGION": version.region,
        "AWS_DEFAULT_REGION": version.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{version.runtime}",
        "AWS_LAMBDA_FUNCTION_NAME": version.name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(version.memory),
        "AWS_LAMBDA_FUNCTION_VERSION": version.version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": version.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "LAMBDA_TASK_ROOT": "/var/task",
    }
    extended = {name: ":".join([*filter(None, [given.get(name)]), paths]) for name, paths in SEARCHED.items()}
    return {"LANG": "en_US.UTF-8", "TZ": ":UTC"} | given | extended | reserved

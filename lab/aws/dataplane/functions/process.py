"""The operating-system process of an execution environment."""

import contextlib
import functools
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import uuid
import zipfile
from pathlib import Path

from lab import cgroups, sockets
from lab.aws.dataplane.functions.version import FunctionVersion

NOBODY = 65534
MEGABYTE = 1024 * 1024


class FunctionProcess:
    """awslambdaric with one function's code, in its own directory, session, cgroup and user.

    `cgroup` is the parent of the environment's own group, or None for no memory limit.
    """

    def __init__(
        self,
        version: FunctionVersion,
        directory: Path,
        namespace: Path | None,
        cgroup: str | None,
    ) -> None:
        self.name = f"{version.name}-{uuid.uuid4().hex[:12]}"
        self.directory = directory / self.name
        self._version, self._namespace = version, namespace
        self._cgroup = f"{cgroup}/{self.name}" if cgroup else None
        self._process: subprocess.Popen | None = None

    def out_of_memory(self) -> bool:
        """Whether the kernel killed it for using more memory than the function may."""
        return self._cgroup is not None and cgroups.out_of_memory(self._cgroup)

    def listen(self) -> socket.socket:
        """The runtime API's socket, where the process will see it."""
        listening = sockets.listen(("127.0.0.1", 0), self._namespace)
        listening.setblocking(True)
        return listening

    def start(self, runtime_api: str, log_stream: str) -> None:
        """Unpack the code and run it. Output, standard and error, comes out of `output`."""
        unpack(self._version.code, self.directory)
        command = [sys.executable, "-m", "awslambdaric", self._version.handler]
        start = functools.partial(
            subprocess.Popen,
            **_as_nobody(command, self.directory.parent),
            cwd=self.directory,
            env=environment(self._version, self.directory, runtime_api, log_stream),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        # A process starts in the network namespace of the thread that makes it.
        process = sockets.in_namespace(self._namespace, start) if self._namespace else start()
        self._process = process
        self.descriptor = os.pidfd_open(process.pid)
        assert process.stdout
        self.output = process.stdout.fileno()
        if self._cgroup:
            cgroups.create(self._cgroup)
            cgroups.limit_memory(self._cgroup, self._version.memory * MEGABYTE)
            cgroups.add_process(self._cgroup, process.pid)

    def memory_used(self) -> int:
        """The most that was resident at one time, in MB; 0 once the process has ended."""
        assert self._process
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return round(int(line.split()[1]) / 1024)
        return 0

    def wait(self) -> int:
        """The exit status, negative for a signal."""
        assert self._process
        return self._process.wait()

    def kill(self) -> None:
        """End the process and all that it started."""
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        if self._cgroup:
            cgroups.kill(self._cgroup)

    def clean_up(self) -> None:
        """Delete what the ended process had."""
        if self._process and self._process.stdout:
            self._process.wait()
            self._process.stdout.close()
            os.close(self.descriptor)
        if self._cgroup:
            cgroups.remove(self._cgroup)
        shutil.rmtree(self.directory, ignore_errors=True)


def unpack(code: bytes, directory: Path) -> None:
    """Unpack a deployment package, readable for everybody. Raises zipfile.BadZipFile."""
    directory.mkdir(parents=True)
    with zipfile.ZipFile(io.BytesIO(code)) as archive:
        archive.extractall(directory)
    for path in [directory, *directory.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else path.stat().st_mode & 0o777 | 0o444)


def environment(
    version: FunctionVersion, directory: Path, runtime_api: str, log_stream: str
) -> dict[str, str]:
    """The process's environment variables: Lambda's, the function's, and nothing of ours.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
    """
    return version.environment | {
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
        "LAMBDA_TASK_ROOT": str(directory),
        "LANG": "en_US.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "TZ": ":UTC",
    }


def _as_nobody(argv: list[str], directory: Path) -> dict:
    """Popen's arguments for a process that may write what everybody may; without root, as ourselves."""
    if os.geteuid() != 0:
        return {"args": argv}
    if _readable(directory):
        return {"args": argv, "user": NOBODY, "group": NOBODY, "extra_groups": []}
    # A Python or a checkout in somebody's closed home directory: may read, still may not write.
    capability = "+dac_read_search"
    user = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", f"--bounding-set=-all,{capability}"]
    keep = [f"--inh-caps={capability}", f"--ambient-caps={capability}"]
    return {"args": ["setpriv", *user, *keep, *argv]}


@functools.cache
def _readable(directory: Path) -> bool:
    """Whether the user nobody can read our Python with its libraries, and the functions' code."""
    probe = "import os, sys, awslambdaric.bootstrap; os.listdir(sys.argv[1])"
    try:
        subprocess.run(
            [sys.executable, "-c", probe, str(directory)],
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return False
    return True

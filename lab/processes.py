"""The programs of a lab: each with a log, in the lab's cgroup, in its own session."""

import logging
import os
import pwd
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread

from lab import cgroups
from lab.as_root import as_user, program
from lab.errors import LabError
from lab.settings import Lab
from lab.sockets import NamespacePath

log = logging.getLogger(__name__)


def running(pid: int) -> bool:
    """Whether that process runs; not one that has ended while its ID is still in use."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Process:
    """One started program."""

    def __init__(self, name: str, popen: "subprocess.Popen[bytes]", log: Path) -> None:
        self.name, self.pid, self.log = name, popen.pid, log
        self._popen = popen
        self.stopping = False  # its end is not reported
        # Waits from the start, so that a program that ends by itself does not become a zombie.
        self._waiter = Thread(target=self._watch, name=f"wait-{name}", daemon=True)
        self._waiter.start()

    def alive(self) -> bool:
        """Whether the program still runs."""
        return self._waiter.is_alive()

    def wait(self, timeout: float | None = None) -> int | None:
        """Return the exit status (-9: SIGKILL), or None if it still runs after `timeout` seconds."""
        self._waiter.join(timeout)
        return None if self.alive() else self._popen.returncode

    def check(self) -> None:
        """Raise LabError with the end of the log if the program has ended."""
        if not self.alive():
            answer = f"{self.end()}; its log ends with:\n{self.tail()}"
            raise LabError(f"running {self.name}", answer, f"see {self.log}")

    def end(self) -> str:
        """How the program ended."""
        status = self._popen.returncode
        return (
            f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        )

    def tail(self, lines: int = 20) -> str:
        """Return the last lines of the log."""
        return _tail(self.log, lines)

    def stop(self, timeout: float = 10) -> None:
        """Send SIGTERM, then after `timeout` seconds SIGKILL to its process group; wait for its end."""
        self.stopping = True
        if self.alive():
            self._popen.terminate()
        if self.wait(timeout) is None:
            with suppress(ProcessLookupError):  # it has ended just now
                os.killpg(self.pid, signal.SIGKILL)
            self._waiter.join()

    def _watch(self) -> None:
        self._popen.wait()
        if not self.stopping:
            log.warning("%s %s; its log is %s", self.name, self.end(), self.log)


class Processes:
    """All programs of one lab, by name."""

    def __init__(self, lab: Lab) -> None:
        self._logs = lab.data / "log"
        self._cgroup = f"{lab.cgroup}/services"
        self._running: dict[str, Process] = {}
        self._lock = Lock()

    def start(
        self,
        name: str,
        argv: Sequence[str | Path],
        namespace: NamespacePath | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
        user: str | None = None,
    ) -> Process:
        """Start a program; it runs when this returns, but may not be ready.

        `name` (eks/etcd) names its log, <data>/log/eks/etcd.log, which is appended to. `namespace` is a
        network namespace; `env` the whole environment, as in subprocess. LabError if one of that name
        still runs.
        """
        log = self._log(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        with self._lock:
            if name in self._running and self._running[name].alive():
                raise LabError(f"starting {name}", f"it runs already, as process {self._running[name].pid}")
            command = [*self._entering(namespace, user), *map(str, argv)]
            with log.open("ab") as output:
                popen = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=env,
                    cwd=cwd,
                    start_new_session=True,
                )
            self._running[name] = Process(name, popen, log)
            return self._running[name]

    def stop(self, name: str, timeout: float = 10) -> None:
        """Stop a program, if it runs, and wait for it (see Process.stop)."""
        with self._lock:
            process = self._running.pop(name, None)
        if process:
            process.stop(timeout)

    def stop_all(self, timeout: float = 10) -> None:
        """Stop all programs, last started first."""
        for name in reversed(list(self._running)):
            self.stop(name, timeout)

    def stopping(self, group: str) -> None:
        """From now on, do not report the end of these programs (`eks`: all of eks/…)."""
        for process in self._group(group):
            process.stopping = True

    def ended(self, group: str = "") -> list[str]:
        """Programs that ended unexpectedly, such as `eks/etcd was killed by SIGKILL`."""
        ended = (one for one in self._group(group) if not one.alive() and not one.stopping)
        return [f"{one.name} {one.end()}" for one in ended]

    def _group(self, name: str) -> list[Process]:
        with self._lock:
            known = list(self._running.values())
        return [one for one in known if not name or one.name == name or one.name.startswith(f"{name}/")]

    def tail(self, name: str, lines: int = 20) -> str:
        """Return the last lines of a program's log, for an error message; "" if it never ran."""
        log = self._log(name)
        return _tail(log, lines) if log.exists() else ""

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _entering(self, namespace: NamespacePath | None, user: str | None) -> list[str]:
        """A command line prefix: each part does one thing and then runs the next, in the same process."""
        if not self._running:
            cgroups.create(self._cgroup)
        prefix = cgroups.entering(self._cgroup)
        if namespace is not None:
            prefix += [program("nsenter"), f"--net={os.fspath(namespace)}", "--"]
        if user is not None:
            prefix += as_user(user, pwd.getpwnam(user).pw_gid)
        return prefix


def _tail(log: Path, lines: int) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 400 * lines))  # logs can be large, lines rarely are
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])

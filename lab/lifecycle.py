"""A lab's life cycle from outside its daemon: up, down, and cleaning up after a crash."""

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lab import as_root, binaries, cgroups, control, images, packages, processes, values
from lab.aws.dataplane.functions import runtime_image
from lab.errors import LabError
from lab.leftovers import clean_up
from lab.progress import Progress
from lab.settings import Lab

START_LIMIT = 300  # seconds for the daemon to answer; it takes about 3, on an emulated machine 54 to over 180
STOP_LIMIT = 90  # seconds for clusters, functions and networks to end


def setup(lab: Lab, progress: Progress) -> None:
    """Install, build and prepare what is missing. Needs root only to install packages."""
    packages.install(progress)
    programs = binaries.build(lab.cache, progress)
    with progress.step("Container images"):
        images.build(programs, lab.cache)
    with progress.step("Python for functions"):
        runtime_image.build(lab.cache)


def up(lab: Lab, progress: Progress) -> dict:
    """Start the lab, unless it is up. Returns its values.

    Raises:
        LabError: something is missing (nothing was started), the daemon ended (with its last lines) or does
            not answer, or the lab is another user's.
    """
    with _exclusively(lab, progress):
        _refuse_other_owner(lab)
        if answer := running(lab):
            progress.say(f"The lab {lab.name!r} is up already.")
            if answer["ended"]:
                progress.say(incomplete(answer["ended"]))
        else:
            _refuse_incomplete(lab)
            clean_up(lab)  # after a crash
            with progress.step(f"Starting the lab {lab.name!r}"):
                try:
                    _start(lab)
                except BaseException:  # also on Ctrl-C: leave nothing half-started
                    _end(lab)
                    raise
        named = _values(lab)
    if not values.write(lab, named):
        progress.say(
            f"{values.settings_file(lab).name} was not written by the lab and is kept. "
            'To use the lab: eval "$(.venv/bin/python -m lab env)"'
        )
    return named


def down(lab: Lab, progress: Progress) -> None:
    """Stop the lab and everything it started, if it is up.

    Raises:
        LabError: the lab is another user's.
    """
    with _exclusively(lab, progress):
        _refuse_other_owner(lab)
        with progress.step(f"Stopping the lab {lab.name!r}"):
            _end(lab)


def running(lab: Lab) -> dict | None:
    """The daemon's status; None if there is no daemon.

    Raises:
        LabError: the lab is another user's, or its daemon does not answer.
    """
    try:
        return control.ask(lab.run, {"command": "status"})
    except control.NoDaemonError:
        return None


def incomplete(ended: list[str]) -> str:
    """The error for a lab some of whose programs have ended."""
    return "\n".join(["Some programs have ended:", *ended, "Try: make down, then make up"])


@contextmanager
def _exclusively(lab: Lab, progress: Progress) -> Iterator[None]:
    """One `up` or `down` of a lab at a time, whoever runs them."""
    path = lab.run.with_suffix(".lock")
    lock = _lock(path, lambda: progress.say(f"Waiting: another `up` or `down` of {lab.name!r} is running …"))
    try:
        yield
    finally:
        path.unlink()
        os.close(lock)
        with suppress(OSError):  # other labs use it
            path.parent.rmdir()


def _lock(path: Path, waits: Callable[[], None]) -> int:
    """A file locked by this process; `waits` is called if another process has the lock."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # the last lab deleted the folder
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waits()
                fcntl.flock(lock, fcntl.LOCK_EX)
            if os.fstat(lock).st_nlink:
                return lock
            os.close(lock)


def _refuse_other_owner(lab: Lab) -> None:
    owner = control.owner(lab.run)
    if owner not in (None, lab.owner_uid) and _daemons(lab):
        raise control.other_owner_error(f"checking the lab {lab.name!r}", owner)


def _values(lab: Lab) -> dict:
    return control.ask(lab.run, {"command": "values"})["values"]


def _refuse_incomplete(lab: Lab) -> None:
    if needs := packages.missing():
        raise LabError(
            "checking the lab's prerequisites",
            f"missing: {', '.join(need.what for need in needs)}",
            packages.command(needs),
        )
    if not binaries.is_built(lab.cache):
        raise LabError(
            "looking for the lab's programs", f"they are not in {binaries.folder(lab.cache)}", "make setup"
        )


def _start(lab: Lab) -> None:
    lab.run.mkdir(parents=True, exist_ok=True)
    lab.data.mkdir(mode=0o700, parents=True, exist_ok=True)  # logs, certificates, etcd: for the owner only
    os.chown(lab.data, lab.owner_uid, lab.owner_gid)
    (lab.data / "log").mkdir(exist_ok=True)
    log, group = lab.data / "log/daemon.log", f"{lab.cgroup}/daemon"
    cgroups.create(group)
    with log.open("ab") as out:
        earlier = out.tell()
        daemon = subprocess.Popen(
            [*cgroups.entering(group), *as_root.python(lab, "daemon")],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, cwd="/",
            env=as_root.environment(lab),
        )  # fmt: skip
    try:
        _wait_until_running(lab, daemon, lambda: log.read_bytes()[earlier:].decode(errors="replace"))
    except BaseException:  # it may not be in its cgroup yet, where `_end` looks for it
        daemon.kill()
        daemon.wait()
        raise


def _wait_until_running(lab: Lab, daemon: "subprocess.Popen[bytes]", said: Callable[[], str]) -> None:
    deadline = time.monotonic() + START_LIMIT
    while not running(lab):
        late = time.monotonic() > deadline
        if daemon.poll() is not None or late:
            tail = "\n".join(said().splitlines()[-15:]) or "(none)"
            end = (
                f"it was not ready after {START_LIMIT} s"
                if late
                else f"it ended with status {daemon.returncode}"
            )
            raise LabError("starting the lab's daemon", f"{end}. Its last lines:\n{tail}", "make doctor")
        time.sleep(0.1)


def _end(lab: Lab) -> None:
    for pid in _daemons(lab):
        with suppress(ProcessLookupError):  # it has ended
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGCONT)  # a stopped process does not handle SIGTERM
            _wait_gone(pid)
    clean_up(lab)


def _daemons(lab: Lab) -> list[int]:
    """The daemon's id, from its cgroup, even if it no longer answers; not those of its children."""
    return [pid for pid in cgroups.processes(f"{lab.cgroup}/daemon") if _is_daemon(pid)]


def _is_daemon(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().endswith(b"\0lab\0daemon\0")
    except OSError:  # it has ended
        return False


def _wait_gone(pid: int) -> None:
    deadline = time.monotonic() + STOP_LIMIT
    while processes.running(pid):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.1)

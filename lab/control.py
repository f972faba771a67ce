"""Requests from the command line to the daemon: one JSON line each way over a Unix socket.

`exec` also passes the caller's stdin, stdout and stderr, so that a program in a namespace of the lab uses
the caller's files. Only root and the lab's owner can open the socket.
"""

import array
import json
import os
import pwd
import socket
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from lab.errors import LabError

Answer = dict[str, Any]


def path(run: Path) -> Path:
    return run / "control.sock"


class NoDaemonError(LabError):
    """No process listens: the lab is down, or its daemon has ended."""


def owner(run: Path) -> int | None:
    """The id of the lab's owner; None if there is no daemon's socket."""
    try:
        return path(run).stat().st_uid
    except FileNotFoundError:
        return None


def other_owner_error(action: str, uid: int | None) -> LabError:
    """The error for a lab that belongs to another user."""
    try:
        name = pwd.getpwuid(uid).pw_name if uid is not None else "another user"
    except KeyError:
        name = f"user {uid}"
    hint = "create your own lab: LAB_NAME=mine make up (and LAB_NAME=mine in every later command)"
    return LabError(action, f"it is up and belongs to {name}", hint)


def ask(
    run: Path, request: dict[str, Any], files: list[int] | None = None, timeout: float | None = 10
) -> Answer:
    """Send one request to the daemon and wait for its answer; `timeout` is in seconds, None means no limit.

    Raises:
        NoDaemonError: no process listens.
        LabError: the lab is another user's, its daemon does not answer, or it returns an error.
    """
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(timeout)
    with closing(connection):
        try:
            connection.connect(str(path(run)))
            socket.send_fds(connection, [json.dumps(request).encode() + b"\n"], files or [])
            line = connection.makefile("rb").readline()
        except PermissionError:
            raise other_owner_error("calling the lab's daemon", owner(run)) from None
        except TimeoutError:
            answer = f"its daemon did not answer within {timeout:g} s"
            raise LabError("calling the lab's daemon", answer, "make down, then make up") from None
        except OSError as error:
            raise NoDaemonError(
                "calling the lab's daemon", f"nothing answers ({error.strerror})", "make up"
            ) from None
    if not line:
        raise LabError("calling the lab's daemon", "it closed the connection", "make status")
    answer = json.loads(line)
    if "error" in answer:
        raise LabError(*answer["error"])
    return answer


class Server:
    """Answers requests, one thread each, by the handler of the request's `command`.

    A handler takes the request, the files passed with it, and `is_disconnected()` about the caller.
    """

    def __init__(self, run: Path, owner: int, handlers: dict[str, Callable[..., Answer]]) -> None:
        self.handlers = handlers
        path(run).unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path(run)))
        os.chmod(path(run), 0o600)
        os.chown(path(run), owner, -1)
        self.socket.listen()
        threading.Thread(target=self._accept, daemon=True, name="control").start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with closing(connection):
            line, files = _receive(connection)
            try:
                request = json.loads(line)
                answer = self.handlers[request["command"]](
                    request, files, lambda: _is_disconnected(connection)
                )
            except LabError as error:
                answer = {"error": [error.action, error.answer, error.hint]}
            except Exception as error:
                answer = {
                    "error": [
                        "handling the request in the daemon",
                        repr(error),
                        "see the daemon's log: make status",
                    ]
                }
            finally:
                for file in files:
                    os.close(file)
            with suppress(OSError):  # the caller has disconnected
                connection.sendall(json.dumps(answer).encode() + b"\n")

    def close(self) -> None:
        self.socket.close()


def _receive(connection: socket.socket) -> tuple[bytes, list[int]]:
    line, files = b"", array.array("i")
    while not line.endswith(b"\n"):
        data, passed, _, _ = socket.recv_fds(connection, 65536, 3)
        if not data:
            break
        line += data
        files.extend(passed)
    return line, list(files)


def _is_disconnected(connection: socket.socket) -> bool:
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False

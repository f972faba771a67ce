"""Which programs run as root, and in which environment; neither depends on the caller.

Programs are looked up in a fixed list of folders: with the caller's PATH, the caller's own programs could run
as root. The environment is built from scratch because variables such as LD_PRELOAD, PYTHONPATH, BASH_ENV,
GODEBUG, CONTAINERD_ADDRESS or HTTPS_PROXY would change what the lab's programs do.
"""

import os
import shutil
import sys
from collections.abc import Iterable

from lab.errors import LabError
from lab.settings import Lab

# Folders that only root can write to: Debian's packages, local installations, containerd's own archives.
FOLDERS = (
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/opt/containerd/bin",
)
PATH = os.pathsep.join(FOLDERS)
# How to print on the terminal that `up` runs in.
_TERMINAL = ("TERM", "COLORTERM", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")


def find(name: str) -> str | None:
    """The path of a program, or None."""
    return shutil.which(name, path=PATH)


def program(name: str) -> str:
    """The path of a program.

    Raises:
        LabError: it is in none of the folders of PATH.
    """
    found = find(name)
    if found is None:
        raise LabError(f"looking for {name}", f"it is not in {PATH}", "make doctor")
    return found


def as_user(uid: int | str, gid: int | str) -> list[str]:
    """The start of a command line that runs the rest as another user, without supplementary groups."""
    return [program("setpriv"), f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--"]


def environment(lab: Lab) -> dict[str, str]:
    """The whole environment of the lab's processes that run as root."""
    settings = {f"LAB_{name.upper()}": str(value) for name, value in lab.model_dump().items()}
    # A separate HOME: kubectl, containerd and others would read settings in root's.
    return {"PATH": PATH, "HOME": str(lab.data), "LANG": "C.UTF-8"} | settings


def python(lab: Lab, *arguments: str) -> list[str]:
    """The command line of `python -m lab`; -I ignores the working directory and the user's packages."""
    # Another user could not delete root's bytecode files in the checkout.
    isolated = ["-I"] if lab.owner_uid == 0 else ["-I", "-B"]
    return [sys.executable, *isolated, "-m", "lab", *arguments]


def by_sudo(lab: Lab, arguments: Iterable[str]) -> list[str]:
    """The command line that runs a command of the lab as root, for a user who may use sudo.

    Raises:
        LabError: there is no sudo.
    """
    sudo = find("sudo")
    if sudo is None:
        raise LabError(
            "starting the lab",
            "network namespaces and containers need root, and there is no sudo",
            "run it as root",
        )
    # sudo may be configured to pass variables on, so all are set explicitly.
    terminal = {name: os.environ[name] for name in _TERMINAL if name in os.environ}
    variables = [f"{name}={value}" for name, value in (environment(lab) | terminal).items()]
    return [sudo, program("env"), "-i", *variables, *python(lab, *arguments)]

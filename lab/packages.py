"""What the lab needs of the machine: programs from Debian's packages. Nothing is ever removed or replaced."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.progress import Progress

PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])


@dataclass(frozen=True)
class Need:
    """One program or file, and the Debian package that has it."""

    what: str
    package: str
    why: str
    folders: str = ""  # where else than on PATH it is looked for

    def found(self) -> str | None:
        """Where it is on this machine, or None. What is there is used as it is, whoever installed it."""
        if self.what.startswith("/"):
            return self.what if Path(self.what).exists() else None
        return shutil.which(self.what, path=self.folders or PATH)


CNI = Need(
    "ptp", "containernetworking-plugins", "pods' network", "/usr/lib/cni:/usr/libexec/cni:/opt/cni/bin"
)
NEEDS = [
    Need("containerd", "containerd", "runs the nodes' containers"),
    Need("runc", "runc", "starts each container"),
    CNI,
    Need("iptables", "iptables", "Services and sidecars"),
    Need("ip", "iproute2", "VPCs as network namespaces"),
    Need("nsenter", "util-linux", "programs inside a VPC"),
    Need("mount", "mount", "the namespaces' files"),
    Need("busybox", "busybox-static", "a shell in the pods' image"),
    Need("curl", "curl", "the requests of the tutorial"),
    Need("openssl", "openssl", "a look at certificates"),
    Need("/etc/ssl/certs/ca-certificates.crt", "ca-certificates", "public certificate authorities"),
]
# What the lab does without; `setup` leaves it alone, and `doctor` names it.
BROWSER = Need("chromium", "chromium", "PDFs of the handouts, and tests of what a reader sees")
OPTIONAL = [BROWSER]


def missing(wanted: list[Need] | None = None) -> list[Need]:
    """Those of the lab's needs, or of these, that this machine lacks."""
    return [need for need in (NEEDS if wanted is None else wanted) if not need.found()]


def command(needs: list[Need]) -> str:
    """The one command that installs them, for root where there is no sudo."""
    names = sorted({need.package for need in needs})
    return f"{'sudo ' if _by_sudo() else ''}apt-get install --no-install-recommends {' '.join(names)}"


def install(progress: Progress, wanted: list[Need] | None = None) -> None:
    """Install what is missing of the lab's needs, or of these, by apt-get, if that removes nothing.

    Raises:
        LabError: no apt-get, it would remove packages (Docker's containerd.io and Debian's containerd
            exclude each other), it failed, or the user is not root and there is no sudo.
    """
    needs = missing(wanted)
    if not needs:
        return
    names = ", ".join(need.what for need in needs)
    action = f"installing what is missing on this machine ({names})"
    if not shutil.which("apt-get"):
        raise LabError(action, "there is no apt-get here", "install them with your system's package manager")
    if os.getuid() != 0 and not _by_sudo():
        raise LabError(action, "that needs root, and there is no sudo", f"as root: {command(needs)}")
    install_command = command(needs).split()
    with progress.step(f"Installing {' '.join(sorted({need.package for need in needs}))}"):
        _refresh_index(install_command)
        _refuse_removals(action, _simulate(install_command), needs)
        # A maintainer script must not ask.
        environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
        split = install_command.index("apt-get")
        answer = subprocess.run(
            [*install_command[:split], *environment, *install_command[split:], "--yes"],
            capture_output=True,
            text=True,
        )
    if answer.returncode:
        raise LabError(action, answer.stderr.strip()[-1500:], command(needs))
    if still := missing(wanted):
        raise LabError(
            action,
            f"apt-get ended well, but still missing: {', '.join(need.what for need in still)}",
            command(needs),
        )


def _by_sudo() -> bool:
    return os.getuid() != 0 and shutil.which("sudo") is not None


def _simulate(install_command: list[str]) -> subprocess.CompletedProcess[str]:
    # A simulation needs no root, so no sudo.
    return subprocess.run(
        ["apt-get", "--simulate", *install_command[install_command.index("apt-get") + 1 :]],
        capture_output=True,
        text=True,
    )


def _refresh_index(install_command: list[str]) -> None:
    """A fresh machine's index is empty or old; ask for it only where the packages can't be found."""
    if _simulate(install_command).returncode:
        subprocess.run(
            [*install_command[: install_command.index("apt-get")], "apt-get", "update", "--quiet"],
            capture_output=True,
        )


def _refuse_removals(action: str, simulated: subprocess.CompletedProcess[str], needs: list[Need]) -> None:
    if simulated.returncode:
        raise LabError(action, simulated.stderr.strip()[-1500:], f"apt-get update, then: {command(needs)}")
    removed = [line.split()[1] for line in simulated.stdout.splitlines() if line.startswith("Remv ")]
    if removed:
        raise LabError(
            action,
            f"apt-get would remove {', '.join(removed)}, so nothing was installed",
            f"put {', '.join(need.what for need in needs)} on PATH in another way",
        )

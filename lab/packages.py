"""The lab's Debian packages. Nothing is ever removed or replaced."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab import as_root
from lab.errors import LabError
from lab.progress import Progress


@dataclass(frozen=True)
class Need:
    """One program or file, and its Debian package."""

    what: str
    package: str
    why: str
    folders: str = ""  # where to look for it, if not in root's PATH

    def found(self) -> str | None:
        """Its path on this machine, or None. An existing one is used, whoever installed it."""
        if self.what.startswith("/"):
            return self.what if Path(self.what).exists() else None
        return shutil.which(self.what, path=self.folders or as_root.PATH)


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
    Need("openssl", "openssl", "inspecting certificates"),
    Need("tcpdump", "tcpdump", "capturing packets, in the pods' image of tools"),
    Need("/etc/ssl/certs/ca-certificates.crt", "ca-certificates", "public certificate authorities"),
]
# Optional: `setup` does not install these, `doctor` names them. They may be anywhere on your PATH.
BROWSER = Need(
    "chromium",
    "chromium",
    "PDFs of the handouts, and browser tests",
    os.environ.get("PATH", ""),
)
OPTIONAL = [BROWSER]
_INSTALL = ("install", "--no-install-recommends")


def missing(wanted: list[Need] | None = None) -> list[Need]:
    """Those of the lab's needs, or of `needs`, that this machine lacks."""
    return [need for need in (NEEDS if wanted is None else wanted) if not need.found()]


def command(needs: list[Need]) -> str:
    """The one command that installs them, run as root or with sudo."""
    words = ["sudo"] if _by_sudo() else []
    return " ".join([*words, "apt-get", *_INSTALL, *_packages(needs)])


def install(progress: Progress, wanted: list[Need] | None = None) -> None:
    """Install what is missing of the lab's needs, or of `needs`, with apt-get, unless that removes packages.

    Raises:
        LabError: no apt-get, it would remove packages (Docker's containerd.io and Debian's containerd
            exclude each other), it failed, or the user is not root and there is no sudo.
    """
    needs = missing(wanted)
    if not needs:
        return
    names = ", ".join(need.what for need in needs)
    action = f"installing what is missing on this machine ({names})"
    if not as_root.find("apt-get"):
        raise LabError(action, "there is no apt-get", "install them with your system's package manager")
    if os.getuid() != 0 and not _by_sudo():
        raise LabError(action, "this needs root, and there is no sudo", f"as root: {command(needs)}")
    packages = _packages(needs)
    with progress.step(f"Installing {' '.join(packages)}"):
        _refresh_index(packages)
        _refuse_removals(action, _simulate(packages), needs)
        answer = _apt(*_INSTALL, *packages, "--yes")
    if answer.returncode:
        raise LabError(action, answer.stderr.strip()[-1500:], command(needs))
    if still := missing(wanted):
        raise LabError(
            action,
            f"apt-get succeeded, but still missing: {', '.join(need.what for need in still)}",
            command(needs),
        )


def _packages(needs: list[Need]) -> list[str]:
    return sorted({need.package for need in needs})


def _by_sudo() -> bool:
    return os.getuid() != 0 and as_root.find("sudo") is not None


def _apt(*arguments: str) -> subprocess.CompletedProcess[str]:
    """As root. Maintainer scripts must not ask questions; root's environment may name a proxy."""
    sudo = [as_root.program("sudo")] if _by_sudo() else []
    environment = [as_root.program("env"), "DEBIAN_FRONTEND=noninteractive", f"PATH={as_root.PATH}"]
    words = [*sudo, *environment, as_root.program("apt-get"), *arguments]
    return subprocess.run(words, capture_output=True, text=True)


def _simulate(packages: list[str]) -> subprocess.CompletedProcess[str]:
    # A simulation needs no root, so no sudo.
    words = [as_root.program("apt-get"), "--simulate", *_INSTALL, *packages]
    return subprocess.run(words, capture_output=True, text=True)


def _refresh_index(packages: list[str]) -> None:
    """Run `apt-get update` only if packages can't be found: a new machine's index is empty or old."""
    if _simulate(packages).returncode:
        _apt("update", "--quiet")


def _refuse_removals(action: str, simulated: subprocess.CompletedProcess[str], needs: list[Need]) -> None:
    if simulated.returncode:
        raise LabError(action, simulated.stderr.strip()[-1500:], f"apt-get update, then: {command(needs)}")
    removed = [line.split()[1] for line in simulated.stdout.splitlines() if line.startswith("Remv ")]
    if removed:
        raise LabError(
            action,
            f"apt-get would remove {', '.join(removed)}, so nothing was installed",
            f"put {', '.join(need.what for need in needs)} into /usr/local/bin yourself",
        )

"""Creates a virtual machine: Debian from packages, a user, the clone, and a mirror instead of a network."""

import hashlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from lab import binaries, packages
from lab.settings import PROJECT, Lab

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
MIRROR = "http://deb.debian.org/debian"
USER = "reader"
UID = 1000
DISK = "16G"  # sparse
UML_MODULES = Path("/usr/lib/uml/modules")

# A typical machine with the README's prerequisites: make and Python.
INSTALLED = (
    "linux-image-cloud-amd64,systemd-sysv,libpam-systemd,dbus,sudo,"
    "apparmor,make,python3,ca-certificates,iproute2,kmod,login,passwd,procps,udev"
)

FILES = {
    "etc/hostname": "machine\n",
    "etc/hosts": "127.0.0.1 localhost machine\n",
    f"etc/sudoers.d/{USER}": f"{USER} ALL=(ALL) NOPASSWD: ALL\n",
    # The mirror for a machine without a network: pip and uv find wheels in a folder.
    "etc/pip.conf": "[global]\nno-index = true\nfind-links = /opt/wheels\n",
    "etc/uv/uv.toml": '[pip]\nno-index = true\nfind-links = ["/opt/wheels"]\n',
    # The serial console logs the user in and runs the test: an ordinary user's session, not a service.
    "etc/systemd/system/serial-getty@ttyS0.service.d/login.conf": (
        "[Service]\nExecStart=\n"
        f"ExecStart=-/sbin/agetty --autologin {USER} --noclear --keep-baud 115200 %I dumb\n"
    ),
    f"home/{USER}/.bash_profile": "exec /opt/guest.sh\n",
}


@dataclass(frozen=True)
class Machine:
    """A release of Debian, and the version of Python in it."""

    release: str
    python: str


MACHINES = {"bookworm": Machine("bookworm", "3.11.2"), "trixie": Machine("trixie", "3.13.5")}


def root(machine: Machine, folder: Path) -> Path:
    """Create the root file system in `folder`/root. Needs root.

    The Debian part (minutes) and the wheels are kept in `folder` for the next run.
    """
    root = folder / "root"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    _run("tar", "-xf", _debian(machine, folder), "-C", root)
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    shutil.copy(HERE / "guest.sh", root / "opt/guest.sh")
    shutil.copytree(_wheels(machine, folder), root / "opt/wheels")
    if UML_MODULES.exists():
        shutil.copytree(UML_MODULES, root / "usr/lib/modules", dirs_exist_ok=True)
    _add_user(root)
    return root


def disk(root: Path) -> Path:
    """The disk with this root file system, next to it."""
    disk = root.with_name("disk.ext4")
    disk.unlink(missing_ok=True)
    _run("mke2fs", "-q", "-t", "ext4", "-d", root, disk, DISK)
    return disk


def _debian(machine: Machine, folder: Path) -> Path:
    needed = " ".join(sorted({need.package for need in packages.NEEDS}))
    script = HERE / "packages.sh"
    hook = f'sh {script} "$1" {needed} python{machine.python.rpartition(".")[0]}-venv'
    digest = hashlib.sha256((INSTALLED + hook + script.read_text()).encode()).hexdigest()[:8]
    archive = folder / f"debian-{digest}.tar"
    if not archive.exists():
        unfinished = folder / "unfinished.tar"
        options = ("--mode=root", "--variant=apt", f"--include={INSTALLED}", f"--customize-hook={hook}")
        _run("mmdebstrap", *options, machine.release, unfinished, MIRROR)
        unfinished.rename(archive)
    return archive


def _wheels(machine: Machine, folder: Path) -> Path:
    """The lock file's packages for the machine's Python, as files; kept until the lock file changes."""
    lock = CHECKOUT / "requirements.lock"
    wheels = folder / "wheels"
    if (wheels / lock.name).exists() and (wheels / lock.name).read_text() == lock.read_text():
        return wheels
    shutil.rmtree(wheels, ignore_errors=True)
    chosen = folder / "requirements.txt"
    version = ("--python-version", machine.python)
    # uv resolves for that Python; pip would evaluate the lock file's conditions with its own version.
    uv = ("-m", "uv", "pip", "compile", "--quiet", "--no-deps", "--no-header", "--no-annotate", *version)
    _run(sys.executable, *uv, "--python-platform", "x86_64-manylinux_2_36", lock, "-o", chosen)
    tags = [*(f"manylinux_2_{minor}" for minor in (36, 35, 34, 31, 28, 27, 17, 12, 5)), "manylinux1"]
    platforms = [f"--platform={tag}_x86_64" for tag in tags]
    pip = ("-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", *version, *platforms)
    _run(sys.executable, *pip, "--dest", wheels, "-r", chosen)
    shutil.copy(lock, wheels)
    return wheels


def _add_user(root: Path) -> None:
    """The user with a clone of this checkout's HEAD and the programs that are built here."""
    home = root / "home" / USER
    _run("chroot", root, "useradd", "--uid", str(UID), "--shell", "/bin/bash", USER)
    _run("git", "clone", "--quiet", "--depth=1", f"file://{CHECKOUT}", home / PROJECT)
    programs = binaries.folder(Lab().cache)
    shutil.copytree(programs, home / ".cache" / PROJECT / "programs" / programs.name)
    _run("chown", "-R", f"{UID}:{UID}", home)
    home.chmod(0o700)  # as created by adduser: the lab's other users cannot read it


def _run(*command: str | Path) -> None:
    subprocess.run([str(word) for word in command], check=True)

"""What a function can see of the machine: AWS's paths, in its own root directory, as its own user.

Of the machine's files it can read only the operating system's programs and libraries. Other processes are
invisible and cannot be signaled, as no other process has this user's id.
"""

import io
import os
import secrets
import shlex
import zipfile
from pathlib import Path

from lab.as_root import program
from lab.aws.dataplane.functions.runtime_image import open_to_all

USER = "sbx_user1051"  # as on AWS
# Ids that are not assigned: https://systemd.io/UIDS-GIDS/#special-distribution-uid-ranges
USERS = range(1_900_000_000, 2_000_000_000)
TMP_SIZE = "512m"  # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
DEVICES = ("null", "zero", "full", "random", "urandom")
Mount = tuple[str, str, str, str]  # a line of an fstab: source, target, type, options
SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")  # often links into /usr

# After pivot_root, programs keep their paths: /usr is the machine's.
_ENTER = """
mount --all --fstab "$1"
cd "$2"
pivot_root . old
cd /var/task
umount --lazy /old
shift 2
exec "$@"
"""
# The function's own variables are set last, as they could affect root's programs.
_BECOME = '. /etc/environment; unset OLDPWD; exec "$@"'


class Sandbox:
    """One environment's root file system and user. `create` makes `folder`, which holds it."""

    def __init__(self, folder: Path, image: Path, resolver: str | None) -> None:
        """`image`: of runtime_image.build. `resolver`: address of a DNS server, or None for no names."""
        self._image, self._resolver = image, resolver
        self._root, self._table = folder / "root", folder / "fstab"
        self.user = secrets.choice(USERS)

    def create(self, code: bytes, environment: dict[str, str]) -> None:
        """Unpack a deployment package and prepare the other folders. Raises zipfile.BadZipFile."""
        for name in ("old", "opt", "proc", "tmp", "usr", "var/lang", "var/runtime", "var/task"):
            (self._root / name).mkdir(parents=True)
        with zipfile.ZipFile(io.BytesIO(code)) as archive:
            archive.extractall(self._root / "var/task")
        system = self._link_system()
        self._make_devices()
        self._write_etc(environment)
        table = [*self._mounts(), *(self._bound(f"/{name}", name) for name in system)]
        self._table.write_text("".join(" ".join(map(_escape, line)) + "\n" for line in table))
        open_to_all(self._root)
        variables = self._root / "etc/environment"
        variables.chmod(0o400)
        os.chown(variables, self.user, self.user)

    def command(self, *argv: str) -> list[str]:
        """The command line that enters it and runs `argv`, in the same process."""
        enter = [program("unshare"), "--mount", "--ipc", "--", program("sh"), "-ec", _ENTER, "sh"]
        user = [f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"]
        powers = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
        become = ["setpriv", *user, *powers, "--", "sh", "-ec", _BECOME, "sh"]
        return [*enter, str(self._table), str(self._root), *become, *argv]

    def _link_system(self) -> list[str]:
        """Create the system's folders; returns those that are not links into /usr and must be mounted."""
        own = []
        for name in SYSTEM:
            original, place = Path("/", name), self._root / name
            if original.is_symlink():
                place.symlink_to(original.readlink())
            elif original.is_dir():
                place.mkdir()
                own.append(name)
        return own

    def _make_devices(self) -> None:
        devices = self._root / "dev"
        devices.mkdir()
        (devices / "fd").symlink_to("/proc/self/fd")
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            (devices / name).symlink_to(f"/proc/self/fd/{number}")
        for name in DEVICES:
            (devices / name).touch()

    def _write_etc(self, environment: dict[str, str]) -> None:
        exports = (f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
        files = {
            "passwd": f"root:x:0:0::/:/bin/sh\n{USER}:x:{self.user}:{self.user}::/:/bin/sh\n",
            "group": f"root:x:0:\n{USER}:x:{self.user}:\n",
            "hosts": "127.0.0.1 localhost\n",
            "nsswitch.conf": "hosts: files dns\n",
            "resolv.conf": f"nameserver {self._resolver}\n" if self._resolver else "",
            "environment": "".join(exports),
        }
        (self._root / "etc/ssl/certs").mkdir(parents=True)
        for name, text in files.items():
            (self._root / "etc" / name).write_text(text)

    def _mounts(self) -> list[Mount]:
        user = f"uid={self.user},gid={self.user}"
        return [
            self._bound(self._root, ""),
            self._bound("/usr", "usr"),
            self._bound("/etc/ssl/certs", "etc/ssl/certs"),
            self._bound(self._image / "lang", "var/lang"),
            self._bound(self._image / "runtime", "var/runtime"),
            # hidepid: only this user's own processes are visible.
            ("proc", f"{self._root}/proc", "proc", "hidepid=2,nosuid,nodev,noexec"),
            ("tmpfs", f"{self._root}/tmp", "tmpfs", f"size={TMP_SIZE},mode=700,{user},nosuid,nodev"),
            *((f"/dev/{name}", f"{self._root}/dev/{name}", "none", "bind") for name in DEVICES),
        ]

    def _bound(self, source: str | Path, place: str) -> Mount:
        return str(source), str(self._root / place), "none", "bind,ro,nosuid,nodev"


def _escape(word: str) -> str:
    """As in fstab(5)."""
    return "".join(f"\\{ord(char):03o}" if char in " \t\n\\" else char for char in word)

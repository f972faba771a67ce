"""containerd in its own view of the file system, and the images every node starts with.

Importing the images takes containerd 6 to 9 seconds. It is done once per machine: the result is cached, and
a node's containerd starts with a copy made of hard links, which takes no time and no space.
"""

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import cgroups, images, packages
from lab.as_root import program
from lab.cluster.mounts import View
from lab.cluster.waiting import wait_until
from lab.errors import LabError
from lab.processes import Process, Processes

SOCKET = "/run/containerd/containerd.sock"
STORE = "/var/lib/containerd"
CNI_CONFIGURATION = "/var/lib/cni/net.d"


def start(processes: Processes, name: str, view: View, namespace: Path | None, cgroup: str) -> Process:
    """Start containerd, with all its children in `cgroup`. Ready when `is_ready`."""
    view.create()
    configuration = view.path("/var/lib/containerd.toml")
    configuration.write_text(_configuration())
    view.path(SOCKET).unlink(missing_ok=True)
    cgroups.create(cgroup)
    enter = [
        *cgroups.entering(cgroup),
        *view.enter_new(program("containerd"), "-c", "/var/lib/containerd.toml"),
    ]
    return processes.start(name, enter, namespace=namespace)


def is_ready(view: View, process: Process) -> bool:
    """Whether containerd answers."""
    return view.path(SOCKET).exists() and not _ctr(process, "version").returncode


def copy_store(store: Path, view: View) -> None:
    """Give a node's containerd all images; call it before the start."""
    target = view.path(STORE)
    target.parent.mkdir(parents=True, exist_ok=True)
    if subprocess.run([program("cp"), "-al", store, target], capture_output=True).returncode:
        shutil.rmtree(target, ignore_errors=True)  # another file system
        subprocess.run([program("cp"), "-a", "--reflink=auto", store, target], check=True)
    for database in store.rglob("*.db"):  # written in place, unlike everything else
        copy = target / database.relative_to(store)
        copy.unlink()
        shutil.copy2(database, copy)


def import_image(containerd: Process, archive: Path) -> None:
    """Add an image to a running node; LabError with containerd's error if the archive has none."""
    with archive.open("rb") as file:
        command = View.enter(containerd.pid, program("ctr"), "-n", "k8s.io", "images", "import", "-")
        done = subprocess.run(
            command, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    if done.returncode:
        raise LabError(
            "importing an image", done.stdout.strip(), "docker save, podman save and crane pull write one"
        )


def image_store(archives: list[Path], cache: Path, processes: Processes, cgroup: str) -> Path:
    """containerd's folder with these images imported; created once, cached, never changed again."""
    key = hashlib.sha256("\n".join([_version(), *(path.name for path in archives)]).encode()).hexdigest()[:16]
    store = cache / "containerd" / key
    store.parent.mkdir(parents=True, exist_ok=True)
    with _exclusively(store.parent / "lock"):
        if not store.exists():
            scratch = store.parent / "importing"
            shutil.rmtree(scratch, ignore_errors=True)  # left by an interrupted import
            view = View(scratch, [*{path.parent for path in archives}])
            _import(archives, view, processes, f"import-{key}", cgroup)
            view.path(STORE).rename(store)
            shutil.rmtree(scratch)
    return store


def _import(archives: list[Path], view: View, processes: Processes, name: str, cgroup: str) -> None:
    containerd = start(processes, name, view, None, cgroup)
    try:
        wait_until(lambda: is_ready(view, containerd), "starting containerd", [containerd])
        imports = [(path, _ctr_start(containerd, "images", "import", str(path))) for path in archives]
        for path, running in imports:
            output = running.communicate()[0]
            if running.returncode:
                raise LabError(f"importing {path} into containerd", output.strip(), "delete that file")
    finally:
        processes.stop(name)
        cgroups.remove(cgroup)


def _ctr(containerd: Process, *arguments: str) -> subprocess.CompletedProcess[str]:
    running = _ctr_start(containerd, *arguments)
    output = running.communicate()[0]
    return subprocess.CompletedProcess(running.args, running.returncode, output)


def _ctr_start(containerd: Process, *arguments: str) -> subprocess.Popen[str]:
    command = View.enter(containerd.pid, program("ctr"), "-n", "k8s.io", *arguments)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _version() -> str:
    command = [program("containerd"), "--version"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@contextmanager
def _exclusively(path: Path) -> Iterator[None]:
    """One at a time, across all labs."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _cni_plugins() -> str:
    """The folder that contains them."""
    found = packages.CNI.found()
    if not found:
        answer = f"no {packages.CNI.what} in {packages.CNI.folders}"
        raise LabError("looking for CNI plugins", answer, packages.command([packages.CNI]))
    return str(Path(found).parent)


def _configuration() -> str:
    # The paths are containerd's defaults, in its view. Without CAP_SYS_RESOURCE a negative OOM score makes
    # runc fail ("can't get final child's PID from pipe: EOF"), hence restrict_oom_score_adj.
    return f"""version = 2
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd-opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{images.PAUSE}"
  restrict_oom_score_adj = true
  disable_apparmor = true  # its profile would remain loaded in the machine's kernel
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{_cni_plugins()}"
    conf_dir = "{CNI_CONFIGURATION}"
"""

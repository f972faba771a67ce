"""Starts a machine without a network and reads its serial console."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from threading import Event, Timer

PROBE_LIMIT = 30  # seconds; with KVM a kernel boots in two
MEMORY = "6G"
CONSOLE = "console=ttyS0 panic=-1"
# Under emulation, page table changes at each system call dominate the time. And sometimes a kernel
# 6.12 panicked: it found its clock unstable, and patched sched_clock_cpu while the other processor ran it.
BOOT = f"{CONSOLE} rw mitigations=off tsc=reliable"


class Kind(StrEnum):
    """What runs the machine's kernel."""

    KVM = "kvm"
    TCG = "tcg"  # QEMU's emulation: Debian's own kernel, 18 times slower
    UML = "uml"  # User-mode Linux: a kernel as an ordinary process, 6.1 for every release, one processor


def choose(root: Path) -> Kind:
    """KVM if it works, otherwise TCG: /dev/kvm can open and a guest still hang."""
    if not Path("/dev/kvm").exists():
        return Kind.TCG
    # The init program does not exist, so the kernel panics at once and QEMU exits.
    command = _qemu(Kind.KVM, root, "512M", f"{CONSOLE} rdinit=/none init=/none")
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=PROBE_LIMIT)
    except subprocess.TimeoutExpired:
        return Kind.TCG
    return Kind.KVM if b"Linux version" in done.stdout else Kind.TCG


def run(kind: Kind, root: Path, disk: Path, log: Path, limit: float) -> Iterator[str]:
    """Boot from `disk` with the kernel in `root`; yields the console's lines, all of which are kept in `log`.

    It ends when the machine powers off; TimeoutError after `limit` seconds.
    """
    if kind is Kind.UML:
        command = _uml(disk)
    else:
        drive = ["-drive", f"file={disk},format=raw,if=virtio,cache=unsafe"]
        command = [*_qemu(kind, root, MEMORY, f"{BOOT} root=/dev/vda"), *drive]
    console = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with (
        log.open("w") as out,
        subprocess.Popen(command, **console, text=True, errors="replace", start_new_session=True) as machine,
        _killed_after(limit, machine) as killed,
    ):
        assert machine.stdout
        for line in machine.stdout:
            out.write(line)
            out.flush()
            yield line.strip()
    if killed.is_set():
        raise TimeoutError(f"the machine still ran after {limit / 60:.0f} minutes")


@contextmanager
def _killed_after(limit: float, machine: subprocess.Popen) -> Iterator[Event]:
    """The machine ends with the block, and after `limit` seconds at the latest."""
    killed = Event()

    def kill() -> None:
        killed.set()
        os.killpg(machine.pid, signal.SIGKILL)

    timer = Timer(limit, kill)
    timer.start()
    try:
        yield killed
    finally:
        timer.cancel()
        if machine.poll() is None:
            os.killpg(machine.pid, signal.SIGKILL)


def _qemu(kind: Kind, root: Path, memory: str, append: str) -> list[str]:
    accelerator, processor = ("kvm", "host") if kind is Kind.KVM else ("tcg,thread=multi", "max")
    kernel, initrd = (str(next(root.glob(f"boot/{name}-*"))) for name in ("vmlinuz", "initrd.img"))
    machine = ["qemu-system-x86_64", "-accel", accelerator, "-cpu", processor, "-smp", "2", "-m", memory]
    bare = ["-nic", "none", "-nographic", "-no-reboot", "-monitor", "none", "-serial", "stdio"]
    return [*machine, *bare, "-kernel", kernel, "-initrd", initrd, "-append", append]


def _uml(disk: Path) -> list[str]:
    consoles = ["con=null", "con0=null,fd:1", "ssl0=null,fd:1"]
    return ["linux.uml", f"mem={MEMORY}", f"ubd0={disk}", *consoles, *f"{BOOT} root=/dev/ubda".split()]

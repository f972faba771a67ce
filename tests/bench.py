"""`make bench`: how long things take and how much memory they use, printed with the command that measured it.

`make bench COLD=1` first runs `make tutorial` in a fresh clone with empty caches.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.conftest import PROJECT, exports, lab_command

NAME = "bench"
REQUESTS = 300


def timed(what: str, command: str, work: Callable[[], object]) -> None:
    start = time.monotonic()
    work()
    report(what, f"{time.monotonic() - start:.1f} s", command)


def report(what: str, figure: str, command: str) -> None:
    print(f"{what:<46} {figure:>16}   {command}", flush=True)


def cold() -> None:
    """Run in a fresh clone with its own home directory, so that no cache of this machine is used."""
    with tempfile.TemporaryDirectory(prefix="cold-") as folder:
        clone, home = Path(folder) / "clone", Path(folder) / "home"
        home.mkdir()
        subprocess.run(["git", "clone", "-q", PROJECT, clone], check=True)
        # Python and Go themselves may be installed in the real home directory: only their caches move.
        env = os.environ | {
            "LAB_NAME": NAME,
            "XDG_CACHE_HOME": str(home / "cache"),
            "GOPATH": str(home / "go"),
        }
        env |= {"UV_CACHE_DIR": str(home / "uv"), "PIP_CACHE_DIR": str(home / "pip")}
        for name in ("VIRTUAL_ENV", "GOCACHE", "GOMODCACHE"):
            env.pop(name, None)
        run = lambda: subprocess.run(["make", "tutorial"], cwd=clone, env=env, check=True, stdout=sys.stderr)  # noqa: E731
        timed("cold: from a clone to the page", "make tutorial", run)
        subprocess.run(["make", "clean"], cwd=clone, env=env, check=True, stdout=sys.stderr)
        subprocess.run(["chmod", "-R", "u+w", home], check=True)  # Go's module cache is read-only
        shutil.rmtree(home)


def warm() -> None:
    env = os.environ | {"LAB_NAME": NAME}
    lab_command(env, "down")
    timed("warm: the lab up", "python -m lab up", lambda: lab_command(env, "up"))
    env = exports(env, lab_command(env, "env"))
    start = time.monotonic()
    series = subprocess.run(
        [sys.executable, "-m", "series.run"], cwd=PROJECT, env=env, capture_output=True, text=True
    )
    assert series.returncode == 0, series.stdout
    for notebook, seconds in re.findall(r"^(\d\d-\S+) +([\d.]+) s", series.stdout, re.M):
        report(f"warm: {notebook}", f"{seconds} s", "python -m series.run")
    report("warm: notebooks 00-06", f"{time.monotonic() - start:.1f} s", "python -m series.run")
    memory(env)
    latency(env)
    clean_up = [sys.executable, "-m", "series.run", "99"]
    timed(
        "warm: 99-clean-up",
        "python -m series.run 99",
        lambda: subprocess.run(clean_up, cwd=PROJECT, env=env, check=True, stdout=sys.stderr),
    )
    timed("warm: the lab down", "python -m lab down", lambda: lab_command(env, "down"))


def memory(env: dict[str, str]) -> None:
    status = lab_command(env, "status")
    found = re.search(r"(\d+) processes, (\d+) MiB", status)
    assert found, status
    report("memory, both clusters and meshes, resident", f"{found[2]} MiB", "python -m lab status")


def latency(env: dict[str, str]) -> None:
    """From the pod to the page, over one persistent connection."""
    url = f"lambda.external/hello-world?n=[1-{REQUESTS}]"
    curl = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code} %{time_total}\\n", url]
    kubectl = ["kubectl", "--context", "gke", "exec", "-n", "sleep", "deploy/sleep", "-c", "sleep", "--"]
    answer = subprocess.run([*kubectl, *curl], env=env, capture_output=True, text=True, check=True).stdout
    lines = [line.split() for line in answer.splitlines()]
    assert {status for status, _ in lines} == {"200"}, answer
    times = sorted(float(seconds) * 1000 for _, seconds in lines)
    p50, p99 = statistics.median(times), times[int(len(times) * 0.99)]
    report(
        "pod to page and back, p50 / p99",
        f"{p50:.1f} / {p99:.1f} ms",
        f"{REQUESTS} requests by curl in the pod, one connection",
    )


if __name__ == "__main__":
    print(json.dumps({"cores": os.cpu_count(), "kernel": os.uname().release}))
    if os.environ.get("COLD"):
        cold()
    warm()

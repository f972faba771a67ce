"""Three participants on one machine, each with their own lab: all run the whole series at the same time."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import LAB_NAME, PROJECT, exports, lab_command

Env = dict[str, str]
NAMES = [f"{LAB_NAME}-{participant}" for participant in ("a", "b", "c")]


@pytest.fixture(scope="module")
def labs(programs: Path) -> Iterator[dict[str, Env]]:
    """The environments of three running labs, by name."""
    environments: dict[str, Env] = {}
    try:
        for name in NAMES:
            own = os.environ | {"LAB_NAME": name}
            lab_command(own, "up")
            environments[name] = exports(own, lab_command(own, "env"))
        yield environments
    finally:
        for name in NAMES:
            lab_command(os.environ | {"LAB_NAME": name}, "down")


def run(env: Env, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=env, cwd=PROJECT, capture_output=True, text=True)


def page_from_the_pod(env: Env) -> str:
    """What the pod in GKE gets now."""
    pod = ("exec", "-n", "sleep", "deploy/sleep", "-c", "sleep", "--")
    return run(env, "kubectl", "--context", "gke", *pod, "curl", "-s", "lambda.external/hello-world").stdout


def vpc(env: Env) -> str:
    query = ("--query", "Vpcs[?CidrBlock=='10.0.0.0/16'].VpcId", "--output", "text")
    return run(env, "aws", "ec2", "describe-vpcs", *query).stdout.strip()


@pytest.mark.slow
def test_three_labs_run_the_whole_series_at_once(labs: dict[str, Env]) -> None:
    with ThreadPoolExecutor(len(labs)) as pool:
        runs = list(pool.map(lambda env: run(env, sys.executable, "-m", "series.run"), labs.values()))
    for done in runs:
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Hello World from Lambda" in done.stdout
    assert len({vpc(env) for env in labs.values()}) == len(labs)

    # One of them is taken down completely; the others are not affected.
    gone, *others = labs
    lab_command(labs[gone], "down")
    assert "Hello World" not in page_from_the_pod(labs[gone])
    for name in others:
        assert "Hello World from Lambda" in page_from_the_pod(labs[name])

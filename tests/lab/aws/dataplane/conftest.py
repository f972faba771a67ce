"""A load balancer on this machine; functions."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.aws.dataplane.functions import FunctionService
from tests.lab.aws.dataplane.alb import Alb, Gate, run_alb
from tests.lab.aws.dataplane.functions import place


@pytest.fixture(scope="module")
def running_alb(tmp_path_factory) -> Iterator[Alb]:
    yield from run_alb(tmp_path_factory.mktemp("alb"))


@pytest.fixture
def alb(running_alb: Alb) -> Alb:
    running_alb.reset()
    return running_alb


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[FunctionService]:
    service = FunctionService(place(tmp_path / "functions"))
    yield service
    service.close()

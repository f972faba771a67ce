"""Shared by the tests of Lambda's execution environments: function sources and results."""

import json
import os
from pathlib import Path

import pytest

from lab.aws.dataplane.functions import FunctionService, Place, Result, runtime_image
from lab.settings import Lab

COUNT = """
import os
n = 0
def handler(event, context):
    global n
    n += 1
    return {"n": n, "pid": os.getpid()}
"""


def place(directory: Path, **more) -> Place:
    """For a FunctionService; skips the test if functions cannot run here."""
    if os.geteuid():
        pytest.skip("a function's file system needs root")
    return Place(directory, runtime_image.build(Lab().cache), **more)


def invoke(service: FunctionService, name: str = "f", event=None) -> dict:
    result = service.invoke(name, json.dumps(event).encode())
    assert result.function_error is None, (result.payload, result.log_tail)
    return json.loads(result.payload)


def failure(result: Result) -> dict:
    assert result.function_error == "Unhandled"
    return json.loads(result.payload)

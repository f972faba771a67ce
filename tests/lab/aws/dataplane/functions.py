"""What the tests of Lambda's inside share: sources of functions, and what comes back of them."""

import json
import os

from lab.aws.dataplane.functions import FunctionService, Result

COUNT = """
import os
n = 0
def handler(event, context):
    global n
    n += 1
    return {"n": n, "pid": os.getpid()}
"""


def invoke(service: FunctionService, name: str = "f", event=None) -> dict:
    result = service.invoke(name, json.dumps(event).encode())
    assert result.function_error is None, result.payload
    return json.loads(result.payload)


def failure(result: Result) -> dict:
    assert result.function_error == "Unhandled"
    return json.loads(result.payload)


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True

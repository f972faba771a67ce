"""Handlers that fail, for notebook 11. The function uses none of them until its configuration names it.

Each calls the handler of the article first, so that the log has a line for every invocation.
"""

import random
import time

from hello_world import lambda_handler


def throw(event, context):
    """Raise an exception every time."""
    lambda_handler(event, context)
    raise RuntimeError("broken on purpose")


def throw_sometimes(event, context):
    """Raise an exception for about half of the requests."""
    page = lambda_handler(event, context)
    if random.random() < 0.5:
        raise RuntimeError("broken on purpose")
    return page


def wait(event, context):
    """Respond after three seconds."""
    page = lambda_handler(event, context)
    time.sleep(3)
    return page

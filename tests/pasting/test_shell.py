"""The differences that the pasting shell detects."""

import os

import pytest

from tests.pasting.shell import Shell
from tests.pasting.transcript import Step


@pytest.fixture
def shell() -> Shell:
    return Shell(dict(os.environ), "before", "now")


def test_ids_are_replaced_by_current_ones(shell):
    returned = Step("echo vpc-0000001 /hostedzone/Z0000001", answers=["vpc-9999999 /hostedzone/Z9999999"])
    assert shell.paste(returned) == ""
    assert shell.paste(Step("test vpc-9999999:Z9999999:build/before = vpc-0000001:Z0000001:build/now")) == ""
    assert shell.paste(Step("test vpc-99999990 = vpc-00000010"))  # another id with this one as its prefix


@pytest.mark.parametrize(
    "step",
    [
        Step("echo HTTP/2 200", output=["HTTP/2 200", "server: istio-envoy"]),
        Step("echo 'curl: (56) reset' && exit 56", output=["curl: (56) Recv failure"]),
        Step("exit 35", output=["curl: (56) Recv failure"]),
        Step("echo vpc-1", answers=["vpc-2"]),
    ],
)
def test_matching_output_is_accepted(shell, step):
    assert shell.paste(step) == ""


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (Step("echo No such VPC >&2; exit 254"), "exit status 254: No such VPC"),
        (Step("false | cat"), "exit status 1"),
        (Step("echo HTTP/2 503", output=["HTTP/2 200"]), "another answer"),
        (
            Step("echo HTTP/2 200", output=["HTTP/2 200", "<h1>Hello World from Lambda</h1>"]),
            "another answer",
        ),
        (Step("echo HTTP/2 200", output=["curl: (56) Recv failure"]), "exit status 0"),
        (Step("exit 7", output=["curl: (56) Recv failure"]), "exit status 7"),
        (Step("exit 127", output=["curl: (28) timed out"]), "exit status 127"),
        (Step("true", answers=["vpc-1"]), "an answer is missing"),
    ],
)
def test_differing_output_is_detected(shell, step, why):
    assert why in shell.paste(step)

"""The messages in a notebook's troubleshooting table are really printed by the program beside them.

That these causes have these effects is proven by the solutions and tests/lab where a request can show it.
"""

import re
from http import HTTPStatus
from pathlib import Path

import botocore.exceptions
import nbformat
import pytest

from tests.messages import in_program, in_stand_ins, literals, pieces, printed

PROJECT = Path(__file__).parent.parent
NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
PROGRAMS = ("Envoy", "curl", "istioctl", "kubectl")
# Printed by Kubernetes' kubelet, or seen in a pod.
ELSEWHERE = {
    "Failed to pull image",
    "istio-init",
}


def rows(path: Path) -> list[tuple[str, str]]:
    """Program and message, from the table in "Troubleshooting", if a notebook has one."""
    cells = nbformat.read(path, as_version=4).cells
    text = "".join(cell.source for cell in cells if cell.source.startswith("## Troubleshooting"))
    if not text:
        return []
    table = re.findall(r"^\| (.+?) \| ([\w.]+) \| (.{30,}) \|$", text, re.M)
    assert len(table) == text.count("\n|") - 2  # without the heading and the line below it
    return [(who, message) for seen, who, _ in table for message in re.findall(r"`([^`]+)`", seen)]


def said(who: str, message: str) -> bool:
    """Whether the programs in the table really print it."""
    if re.match(r"HTTP/[\d.]+ \d+", message):
        return int(message.split()[1]) in set(HTTPStatus)
    if re.match(r"server: ", message):
        return in_program("Envoy", "envoy")
    if who == "helpers":
        return printed("helpers", message)
    if who in ("AWS", "Google"):
        return in_stand_ins(message)
    if who == "botocore":
        texts = literals(Path(botocore.exceptions.__file__))
        return any(all(piece in text for piece in pieces(message)) for text in texts)
    if who in PROGRAMS:
        return in_program(who, message)
    return message in ELSEWHERE or (who == "Kubernetes" and in_program("kube-apiserver", message))


MESSAGES = [(path.name[:2], *row) for path in NOTEBOOKS for row in rows(path)]


@pytest.mark.parametrize(("_notebook", "who", "message"), MESSAGES)
def test_the_message_is_printed(_notebook, who, message):
    assert said(who, message)


def test_such_tables_exist():
    assert len({number for number, *_ in MESSAGES}) > 3


@pytest.mark.parametrize("who", ["helpers", "AWS", "Google", "botocore", *PROGRAMS, "nobody"])
def test_a_message_that_no_program_prints_is_detected(who):
    assert not said(who, "upstream is having a bad … day today")

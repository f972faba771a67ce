"""Printed commands can be pasted: a shell parses their quoting and line breaks correctly."""

import subprocess

import pytest

from helpers.base.command import broken, show, show_change, wrapped

TAGS = "ResourceType=vpc,Tags=[{Key=Project,Value=istio-multicloud},{Key=Tutorial,Value=istio-lambda}]"
LONG = [
    ["aws", "ec2", "create-vpc", "--cidr-block", "10.0.0.0/16", "--tag-specifications", TAGS, "--query", "a"],
    ["kubectl", "exec", "deploy/sleep", "--", "sh", "-c", "echo 'a  b' \"c\" $d" + " and so on" * 12],
    ["curl", *(f"--header=x: {number}" for number in range(30))],
]


@pytest.mark.parametrize("words", [["curl", "-v", "it's", "a b", "$x"], *LONG])
def test_a_shell_parses_the_same_words(words):
    printed = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {broken(words)}"], capture_output=True, text=True
    )
    assert printed.stdout.removesuffix("\0").split("\0") == words
    assert wrapped(broken(words)) == broken(words)


@pytest.mark.parametrize("words", LONG)
def test_a_long_line_wraps_without_separating_options_from_values(words):
    first, *others = broken(words).split(" \\\n")
    assert others and not first.startswith(" ") and all(line.startswith("    ") for line in others)
    assert all(len(line) <= 98 or len(line.split(" --")) == 1 for line in [first, *others])


def test_a_short_line_and_a_short_pipe_do_not_wrap():
    assert wrapped("kubectl get pods | grep istio") == "kubectl get pods | grep istio"


def test_a_long_pipe_wraps_between_programs():
    line = f"kubectl create secret generic {'x' * 60} -o yaml | kubectl apply -f -"
    assert wrapped(line) == line.replace(" | ", " \\\n    | ")


def test_program_output_is_printed_as_it_is_and_answers_as_comments(capsys):
    show("kubectl get pods", "NAME\n")
    show_change("kubectl apply -f a.yaml", "a applied\nb applied\n")
    assert capsys.readouterr().out == (
        "kubectl get pods\nNAME\nkubectl apply -f a.yaml\n# → a applied\n# → b applied\n"
    )

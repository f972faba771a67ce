"""Programs in pods: exit codes, streams, and that nothing runs twice."""

import re

import pytest

from helpers import curl, kube, pki
from helpers.base.errors import (
    ApiError,
    ChangeNeededError,
    CommandError,
    TimedOutError,
    TutorialError,
    UnreachableError,
)
from helpers.clusters import pods


def test_streams_and_exit_code_are_the_programs_own(in_pods, capsys):
    done = pods.execute("eks", "sleep", "deploy/sleep", ["fail", "7"])
    assert (done.returncode, done.stdout, done.stderr) == (7, b"so far", b"no further")
    capsys.readouterr()
    output = kube.run_in_pod("eks", "sleep", "deploy/sleep", "echo", "a", "b c", container="main")
    assert (output.exit_code, output.text) == (0, "a b c")
    assert capsys.readouterr().out == (
        "kubectl --context eks exec -n sleep deploy/sleep -c main -- echo a 'b c'\na b c\n"
    )
    with pytest.raises(CommandError, match="exit code 7\nno further"):
        kube.run_in_pod("eks", "sleep", "deploy/sleep", "fail", "7")
    assert kube.run_in_pod("eks", "sleep", "deploy/sleep", "fail", "7", check=False).errors == "no further"


def test_output_can_be_streamed(in_pods):
    arrived = []
    done = pods.execute("eks", "sleep", "the-pod", ["fail", "7"], output=arrived.append)
    assert (b"".join(arrived), done.returncode, done.stdout, done.stderr) == (
        b"so far",
        7,
        b"",
        b"no further",
    )
    with pytest.raises(TimedOutError, match="still running after 1 s"):
        pods.execute("eks", "sleep", "the-pod", ["sleep"], timeout=1, output=arrived.append)


def test_container_is_the_first_or_the_named_one(in_pods):
    kube.run_in_pod("eks", "sleep", "pod/the-pod", "echo")
    kube.run_in_pod("eks", "sleep", "the-pod", "echo", container="istio-proxy")
    assert [container for container, _ in in_pods.started] == ["main", "istio-proxy"]


def test_standard_input_arrives_completely_and_ends(in_pods):
    text = "x" * 100_000 + "\n"
    done = pods.execute("eks", "sleep", "the-pod", ["sh", "-c", "cat"], input=text)
    assert done.stdout.decode() == text


def test_a_file_lost_on_its_way_into_the_pod_is_sent_again(in_pods, capsys):
    """As sometimes happens with containerd: https://github.com/containerd/containerd/issues/13934."""
    certificate = pki.ensure().alb_ca
    in_pods.loses_input = 1
    capsys.readouterr()
    with pytest.raises(TutorialError, match="executable file not found"):
        curl.inside_vpc("--cacert", certificate, "https://alb.example.com/")
    copies = [command for _, command in in_pods.started if command[:2] == ["sh", "-c"]]
    assert len(copies) == 2
    printed = f"exec -n default curl -i -- sh -c 'umask 077; cat > /tmp/{certificate.name}'"
    assert printed in re.sub(r" \\\n +", " ", capsys.readouterr().out)
    assert f"/tmp/{certificate.name}" in in_pods.started[-1][1]


def test_a_file_is_copied_into_the_pod_once_and_never_in_read_only_mode(in_pods, monkeypatch, capsys):
    certificate = pki.ensure().alb_ca

    def call() -> None:
        with pytest.raises(TutorialError, match="executable file not found"):  # curl
            curl.inside_vpc("--cacert", certificate, "https://alb.example.com/")

    monkeypatch.setenv("TUTORIAL_READ_ONLY", "1")
    with pytest.raises(ChangeNeededError, match=r"cat > /tmp/alb-ca\.crt' < \S+/alb-ca\.crt"):
        curl.inside_vpc("--cacert", certificate, "https://alb.example.com/")
    assert in_pods.files == {}
    monkeypatch.delenv("TUTORIAL_READ_ONLY")
    call()
    assert in_pods.files == {f"/tmp/{certificate.name}": certificate.read_bytes()}
    monkeypatch.setenv("TUTORIAL_READ_ONLY", "1")
    capsys.readouterr()
    call()
    assert capsys.readouterr().out == ""
    certificate.write_text("another one")
    with pytest.raises(ChangeNeededError):
        curl.inside_vpc("--cacert", certificate, "https://alb.example.com/")


def test_a_program_that_cannot_be_started_is_an_error(in_pods):
    with pytest.raises(ApiError, match="executable file not found"):
        kube.run_in_pod("eks", "sleep", "the-pod", "none-such", check=False)
    with pytest.raises(ApiError, match=r"Forbidden: .*is forbidden"):
        kube.run_in_pod("eks", "sleep", "the-pod", "refused")


def test_a_program_whose_result_is_lost_is_not_started_twice(in_pods):
    with pytest.raises(UnreachableError, match="no answer from"):
        kube.run_in_pod("eks", "sleep", "the-pod", "vanish")
    assert in_pods.started == [("main", ["vanish"])]


def test_a_program_that_does_not_end_times_out(in_pods):
    with pytest.raises(TimedOutError, match="still running after 1 s"):
        pods.execute("eks", "sleep", "the-pod", ["sleep"], timeout=1)
    assert len(in_pods.started) == 1


def test_a_busy_api_server_is_retried(in_pods):
    in_pods.logs["sleep"] = "a line"
    in_pods.away = 1
    assert pods.logs("eks", "sleep", "deploy/sleep") == "a line"
    assert in_pods.away == 0


def test_a_log_stays_text_even_if_it_looks_like_an_object(in_pods):
    in_pods.logs["sleep"] = '{"status": 200}\n'
    assert pods.logs("eks", "sleep", "deploy/sleep") == '{"status": 200}\n'

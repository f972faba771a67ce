"""Where a request stopped, from recorded logs: Envoy's lines from pods, AWS's in plain moto."""

import gzip
import json
import shlex
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from helpers import aws, curl, follow, function, logs
from helpers.aws import alb_log
from helpers.base import waiting
from helpers.base.settings import current
from helpers.curl import CurlResult
from helpers.pictures import explain
from tests.helpers.pods_server import PodsServer

TRACE = "00-11111111111111111111111111111111-2222222222222222-01"
MARKED = ("-H", f"traceparent: {TRACE}")
NOW = datetime.now(UTC)
WAY = ["curl", "sidecar", "egress gateway", "ingress gateway", "load balancer", "function"]


def line(status: int = 200, details: str = "via_upstream", flags: str = "-", **more: Any) -> dict[str, Any]:
    """A line in the format of Envoy's access log; missing values are null."""
    start = NOW.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    entry = {"traceparent": TRACE, "start": start, "protocol": "HTTP/2", "status": status, "details": details}
    return (
        entry
        | {"flags": flags, "microseconds": 9000, "downstream_tls": None, "upstream_failure": None}
        | more
    )


SIDECAR = line(protocol="HTTP/1.1", upstream="10.8.0.4:8080", upstream_tls="TLSv1.3", microseconds=12000)
EGRESS = line(
    downstream_uri_san="spiffe://cluster.local/ns/sleep/sa/sleep",
    upstream="198.51.100.51:443",
    upstream_subject="CN=lambda.external",
    microseconds=11000,
)
INGRESS = line(downstream_subject="CN=client", upstream="10.0.2.232:443", upstream_local="10.0.1.68:41640")


class Clusters:
    """Provides the pods' logs, by namespace, and records which were read."""

    def __init__(self, server: PodsServer) -> None:
        self.server = server

    def log(self, **lines: dict[str, Any]) -> None:
        for name, entry in lines.items():
            self.server.logs[name.replace("_", "-")] = f"{json.dumps(entry)}\n"

    @property
    def asked(self) -> list[str]:
        return self.server.asked


@pytest.fixture
def clusters(moto, in_pods) -> Clusters:
    """Two contexts, an empty bucket for the load balancer's log, an empty log group of the function."""
    aws.call("s3", "create_bucket", Bucket=alb_log.bucket())
    aws.call("logs", "create_log_group", logGroupName=function.log_group())
    return Clusters(in_pods)


def deliver(client: str, target: str = "200", status: str = "200", reason: str = "-") -> None:
    """Adds a line to the load balancer's access log."""
    moment = NOW.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    text = (
        f"https {moment} app/a/b {client} - 0.001 0.006 0.001 {status} {target} 310 1523 "
        '"GET https://alb.example.com:443/ HTTP/1.1" "curl" TLS_AES_128_GCM_SHA256 TLSv1.3 arn:t "Root=1" '
        f'"alb.example.com" "arn:c" 0 {moment} "forward" "-" "{reason}" "-" "-" "-" "-" TID_1 "-" "-" "-"\n'
    )
    folder = f"AWSLogs/{aws.account_id()}/elasticloadbalancing/{current().AWS_REGION}/{NOW:%Y/%m/%d}"
    body = gzip.compress(text.encode())
    aws.call("s3", "put_object", Bucket=alb_log.bucket(), Key=f"{folder}/1.log.gz", Body=body)


def function_says(text: str) -> None:
    where = {"logGroupName": function.log_group(), "logStreamName": "1"}
    aws.call("logs", "create_log_stream", **where)
    event = {"timestamp": int(time.time() * 1000), "message": text}
    aws.call("logs", "put_log_events", **where, logEvents=[event])


def from_pod(**more: Any) -> CurlResult:
    known = {"exit_code": 0, "http_version": "1.1", "status": 200, "remote": "240.240.0.1:80", "args": MARKED}
    pod = curl.Pod("gke", "sleep", "deploy/sleep")
    url = "http://lambda.external/hello-world"
    return CurlResult(url=url, origin=pod, seconds=0.02, **(known | more))


def from_outside(exit_code: int, url: str = "https://lambda.external/", **more: Any) -> CurlResult:
    return CurlResult(exit_code=exit_code, url=url, seconds=0.02, **({"args": MARKED} | more))


def states(journey: follow.RequestPath) -> dict[str, str]:
    return {each.name: each.state for each in journey.hops}


def test_a_successful_request_has_six_hops(clusters):
    clusters.log(sleep=SIDECAR, istio_egress=EGRESS, istio_ingress=INGRESS)
    deliver("10.0.1.68:41640")
    function_says(json.dumps({"path": "/hello-world", "traceparent": TRACE}))
    journey = follow.request(from_pod(), timeout=5)
    assert states(journey) == dict.fromkeys(WAY, "passed")
    assert journey.reached == WAY and journey.refused is None
    _, sidecar, egress, ingress, balancer, _ = journey.hops
    assert (sidecar.called, egress.called, ingress.called) == (
        "240.240.0.1:80",
        "10.8.0.4:8080",
        "198.51.100.51:443",
    )
    assert (ingress.server, ingress.client) == ("CN=lambda.external", "CN=client")
    assert [each.seconds for each in journey.hops] == pytest.approx([0.02, 0.012, 0.011, 0.009, 0.008, 0.006])
    assert (balancer.tls, balancer.protocol) == ("TLSv1.3", "HTTP/1.1")


def test_a_hop_that_responds_itself_is_the_last_and_later_logs_are_not_awaited(clusters):
    broken = "upstream_reset_before_response_started{connection_termination}"
    clusters.log(
        sleep=SIDECAR | {"status": 503}, istio_egress=EGRESS | line(503, broken, "UC", upstream="1.2.3.4:443")
    )
    journey = follow.request(from_pod(status=503), timeout=600)
    assert list(states(journey).values()) == ["passed", "passed", "refused", "never", "never", "never"]
    assert journey.refused is not None
    assert "closed the connection before it answered" in journey.refused.why and broken in journey.refused.why
    assert clusters.asked == ["sleep", "istio-egress", "istio-ingress"]
    assert journey.hops[3].why == ""  # one attempt; finding nothing does not mean that the log is late


def test_a_load_balancer_error_is_described_in_its_own_words(clusters):
    clusters.log(istio_ingress=INGRESS | {"status": 502})
    deliver("10.0.1.68:41640", target="-", status="502", reason="LambdaUnhandled")
    answer = from_outside(0, status=502, http_version="2")
    journey = follow.request(answer, timeout=5)
    assert states(journey) == {
        "curl": "passed",
        "ingress gateway": "passed",
        "load balancer": "refused",
        "function": "never",
    }
    assert journey.hops[2].why == "LambdaUnhandled: the function failed"


@pytest.mark.parametrize("exit_code", [35, 55, 56])
def test_a_failed_handshake_is_known_from_curl_alone(clusters, exit_code):
    args = (*MARKED, "--cert", "/somewhere/stranger.crt")
    journey = follow.request(from_outside(exit_code, error="alert unknown ca", args=args))
    assert list(states(journey).values()) == ["passed", "refused", "never", "never"]
    assert (
        "handshake" in journey.hops[1].why and f"curl: ({exit_code}) alert unknown ca" in journey.hops[1].why
    )
    assert journey.hops[1].client == "the certificate in stranger.crt"
    assert clusters.asked == ["istio-ingress"]


def test_outside_the_vpc_it_stops_at_the_edge_and_no_log_is_read(clusters):
    url = f"https://{current().alb_host}/"
    tried = "*   Trying 10.0.1.28:443...\n*   Trying 10.0.2.232:443...\n"
    journey = follow.request(from_outside(28, url, error="Timeout was reached", verbose=tried))
    assert list(states(journey).items())[:2] == [("curl", "passed"), ("edge of the VPC", "refused")]
    assert journey.hops[1].called == "10.0.1.28, 10.0.2.232"
    assert clusters.asked == [] and journey.reached == ["curl"]


@pytest.mark.parametrize(("exit_code", "word"), [(7, "own network"), (60, "own network"), (6, "resolved")])
def test_outside_the_vpc_another_host_may_respond_or_dns_may_fail(clusters, exit_code, word):
    """A network that uses 10.0.0.0/16 itself, a VPN, a resolver that filters private addresses."""
    url = f"https://{current().alb_host}/"
    journey = follow.request(from_outside(exit_code, url, error="so"))
    assert list(states(journey).values()) == ["refused", "never", "never", "never"]
    assert journey.refused is not None and word in journey.refused.why
    assert clusters.asked == []


def test_inside_the_vpc_the_log_entry_is_found_by_curls_own_address(clusters):
    deliver("10.0.4.7:40000")
    url = f"https://{current().alb_host}/"
    found = {"http_version": "2", "status": 200, "local": "10.0.4.7:40000", "seconds": 0.02}
    journey = follow.request(CurlResult(0, url, origin="VPC", **found), timeout=5)
    assert states(journey) == {"curl": "passed", "load balancer": "passed", "function": "passed"}
    assert journey.hops[2].seconds == pytest.approx(0.006)


@pytest.mark.parametrize("exit_code", [6, 60])
def test_a_curl_error_is_not_reported_as_a_rejection(clusters, exit_code):
    journey = follow.request(from_pod(exit_code=exit_code, status=0, http_version="", error="so"))
    assert list(states(journey).values()) == ["refused", *["never"] * 5]
    assert clusters.asked == []


def test_late_logs_are_reported_as_late(clusters):
    clusters.log(sleep=SIDECAR, istio_egress=EGRESS, istio_ingress=INGRESS)
    journey = follow.request(from_pod(), timeout=0)
    assert list(states(journey).values()) == [*["passed"] * 4, "unknown", "unknown"]
    assert "every five minutes" in journey.hops[4].why


def test_check_mode_does_not_wait_for_the_load_balancers_log(clusters, monkeypatch):
    monkeypatch.setattr(waiting, "_READ_ONLY_LIMIT", 0.1)
    monkeypatch.setenv("TUTORIAL_READ_ONLY", "1")
    clusters.log(sleep=SIDECAR, istio_egress=EGRESS, istio_ingress=INGRESS)
    function_says(TRACE)
    journey = follow.request(from_pod(), timeout=60)
    assert states(journey)["load balancer"] == "unknown"
    assert journey.reached == WAY  # as the function has seen it


def test_without_a_traceparent_no_log_is_searched(clusters):
    journey = follow.request(from_pod(args=()), timeout=0)
    assert states(journey)["sidecar"] == "unknown"
    assert clusters.asked == []


@pytest.mark.parametrize(
    ("entry", "answer"),
    [
        ({"upstream_local": "10.0.1.68:1"}, '# → "upstream_local":"10.0.1.68:1"\n'),
        ({"upstream_local": None}, ""),
        ({}, ""),
    ],
)
def test_a_field_is_shown_as_printed_by_grep(entry, answer, capsys):
    logs.show_field("eks", "istio-ingress", "deploy/a", "it's $HOME", entry, "upstream_local")
    command, arrow, rest = capsys.readouterr().out.partition("# → ")
    assert arrow + rest == answer
    searched = ["grep", "it's $HOME", "|", "grep", "-o", '"upstream_local":"[^"]*"']
    assert shlex.split(command.replace("\\\n", ""))[-6:] == searched


def test_curl_reports_where_it_connected_and_what_it_sent(monkeypatch):
    monkeypatch.setenv("TUTORIAL_CONNECT_TIMEOUT", "1")
    answer = curl.outside("-H", f"Traceparent: {TRACE}", "http://127.0.0.1:1/there")
    assert (answer.traceparent, answer.url) == (TRACE, "http://127.0.0.1:1/there")
    assert answer.exit_code == 7
    assert curl.outside("http://127.0.0.1:1/").traceparent == ""


@pytest.mark.parametrize(
    ("flags", "word"),
    [("UF", "no connection"), ("UF,URX", "the retry limit"), ("NC", "no such cluster"), ("XX", "XX: ")],
)
def test_response_flags_are_explained(flags, word):
    assert word in explain.envoy(flags, "details", "TLS_error")
    assert explain.envoy("-", "", "") == ""

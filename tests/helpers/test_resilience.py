"""What is set and reset, on a real API server with Istio's own kinds; an Envoy's part is the test's own."""

import subprocess
import time
from typing import Any

import pytest

from helpers import aws, function, kube, resilience
from helpers.aws import cloudwatch_logs
from helpers.base.errors import ApiError, TimedOutError
from helpers.clusters import pods
from helpers.proxies import EGRESS, INGRESS
from helpers.resilience import Cost
from tests import web
from tests.helpers import mesh

KINDS = ("VirtualService", "DestinationRule", "EnvoyFilter")
OURS = [
    ("gke", EGRESS.namespace, "virtualservice/direct-lambda-through-egress-gateway"),
    ("gke", EGRESS.namespace, "destinationrule/dr-lambda-ext"),
    ("gke", EGRESS.namespace, "destinationrule/egressgateway-for-lambda"),
    ("eks", INGRESS.namespace, "virtualservice/vs-lambda"),
    ("eks", INGRESS.namespace, "destinationrule/dr-alb-ext"),
]
ONCE, SHOWN = {"http": {"maxRequestsPerConnection": 1}}, '"maxRequestsPerConnection": 1'
RETRIES = {"attempts": 3, "retryOn": "5xx"}
ROUTES = [
    ("sidecar", "timeout", "1s", '"timeout": "1s"'),
    ("egress gateway", "retries", RETRIES, '"numRetries": 3'),
    ("ingress gateway", "retries", RETRIES | {"perTryTimeout": "1s"}, '"perTryTimeout": "1s"'),
]


@pytest.fixture
def article(envoys, programs, monkeypatch):
    """The objects as notebooks 4 and 5 apply them."""
    monkeypatch.setenv("TUTORIAL_DOMAIN", "example.com")
    mesh.kinds(programs, *KINDS)
    for proxy in (EGRESS, INGRESS):
        kube.namespace(proxy.context, proxy.namespace)
    kube.delete("gke", EGRESS.namespace, "envoyfilter/faulty-pod")
    for context, _, what in OURS:
        kube.apply(context, f"manifests/{context}/{what.partition('/')[2]}.yaml", ALB_HOST="alb.example.com")


def specs() -> dict[str, Any]:
    """Of each of these objects."""
    return {what: kube.require(context, at, what).spec.to_dict() for context, at, what in OURS}


def changed(before: dict[str, Any]) -> list[str]:
    return [what for what, spec in specs().items() if spec != before[what]]


@pytest.mark.parametrize(("hop", "field", "value", "shown"), ROUTES, ids=[each[0] for each in ROUTES])
def test_a_route_is_set_at_one_hop(article, capsys, hop, field, value, shown):
    before = specs()
    capsys.readouterr()
    resilience.set_route(hop, field, value)
    assert f"{shown}' \\\n" in (said := capsys.readouterr().out) or f"{shown}'\n" in said
    assert len(changed(before)) == 1
    routes = [route for spec in specs().values() for route in spec.get("http", [])]
    assert [route[field] for route in routes if field in route] == [value]
    [gateways] = [route.get("match", [{}])[0].get("gateways") for route in routes if field in route]
    assert gateways == {"sidecar": ["mesh"], "egress gateway": ["istio-egressgateway"]}.get(hop)


def test_a_value_that_the_api_server_rejects_is_an_error(article):
    before = specs()
    with pytest.raises(ApiError, match="must be a valid duration"):
        resilience.set_route("sidecar", "timeout", "soon")
    assert changed(before) == []


def test_it_is_an_error_if_the_envoy_does_not_get_the_route(article, envoys, impatient):
    envoys.late = 1000
    with pytest.raises(TimedOutError, match=r'"timeout": "1s" in deploy/sleep\.sleep'):
        resilience.set_route("sidecar", "timeout", "1s")


def test_connections_are_set_for_one_rule(article):
    before = specs()
    resilience.set_connections("eks", "dr-alb-ext", "connectionPool", ONCE, SHOWN)
    assert changed(before) == ["destinationrule/dr-alb-ext"]
    [was], [port] = (
        each["destinationrule/dr-alb-ext"]["trafficPolicy"]["portLevelSettings"] for each in (before, specs())
    )
    assert port == was | {"connectionPool": ONCE}


def test_what_the_clusters_of_another_host_have_does_not_count(article, impatient):
    resilience.set_connections("eks", "dr-alb-ext", "connectionPool", ONCE, SHOWN)
    with pytest.raises(TimedOutError, match="maxRequestsPerConnection"):
        resilience.set_connections("gke", "dr-lambda-ext", "outlierDetection", resilience.OUTLIERS, SHOWN)


def test_all_is_reset(article):
    before = specs()
    for hop, field, value, _ in ROUTES:
        resilience.set_route(hop, field, value)
    resilience.set_connections("gke", "dr-lambda-ext", "connectionPool", ONCE, SHOWN)
    resilience.set_connections("eks", "dr-alb-ext", "connectionPool", ONCE, SHOWN)
    resilience.detect_outliers(50)
    [subset] = specs()["destinationrule/egressgateway-for-lambda"]["subsets"]
    [port] = subset["trafficPolicy"]["portLevelSettings"]
    assert port["outlierDetection"] == resilience.OUTLIERS | {"maxEjectionPercent": 50}
    assert len(changed(before)) == len(OURS)
    resilience.reset()
    assert changed(before) == []


def test_reset_waits_until_no_envoy_has_it(article, envoys, impatient):
    resilience.set_route("ingress gateway", "retries", RETRIES)
    envoys.late = 1000
    with pytest.raises(TimedOutError, match=r"to be gone from deploy/istio-ingressgateway\.istio-ingress"):
        resilience.reset()


def test_one_of_two_pods_fails_until_reset(article, path):
    resilience.fail_one_pod()
    found = kube.get("gke", "pods", EGRESS.namespace)
    assert sorted(each.metadata.labels.faulty or "" for each in found) == ["", "yes"]
    assert kube.find("gke", EGRESS.namespace, "envoyfilter/faulty-pod")
    resilience.reset()
    assert kube.find("gke", EGRESS.namespace, "envoyfilter/faulty-pod") is None


class Front(web.Handler):
    """Invokes a function twice for each request, which then fails, and logs that as Lambda does."""

    def do_GET(self) -> None:
        for trace in [self.headers["traceparent"]] * 2 + ["00-" + "0" * 32]:
            event = {"timestamp": int(time.time() * 1000), "message": trace}
            where = {"logGroupName": function.log_group(), "logStreamName": "1"}
            aws.call("logs", "put_log_events", **where, logEvents=[event])
        self.answer(502)


def execute_here(monkeypatch, port: int) -> None:
    """The pod's curl runs on this machine, and finds the front there."""

    def execute(*at: Any, **_: object) -> subprocess.CompletedProcess[bytes]:
        words = ["--connect-to", f"lambda.external:80:127.0.0.1:{port}"]
        return subprocess.run([*at[3], *words], capture_output=True)

    monkeypatch.setattr(pods, "execute", execute)


def test_a_request_costs_what_the_function_logged_for_it(moto, in_pods, monkeypatch):
    cloudwatch_logs.ensure(function.log_group())
    aws.call("logs", "create_log_stream", logGroupName=function.log_group(), logStreamName="1")
    with web.serving(web.on_loopback(Front)) as server:
        execute_here(monkeypatch, server.server_port)
        found = resilience.request(at_least=2)
    assert (found.status, found.invocations) == (502, 2) and found.seconds > 0


def test_a_request_without_an_invocation_costs_none(moto, in_pods, monkeypatch):
    cloudwatch_logs.ensure(function.log_group())
    execute_here(monkeypatch, 1)
    found = resilience.request(at_least=0)
    assert (found.status, found.invocations) == (0, 0)


def test_the_table_has_a_row_for_each_request():
    costs = {"no timeout": Cost(200, 4.04, 1), "timeout": Cost(504, 1.0, 64)}
    table = resilience.table(costs, "setting")
    assert table.headers == ["setting", "status", "took", "invocations"]
    assert table.rows == [["no timeout", "200", "4.0 s", "1"], ["timeout", "504", "1.0 s", "64"]]

"""Timeouts, retries, and outlier detection on the way to the function, and what a request costs with them."""

from typing import Any, NamedTuple

from helpers import callers, curl, function, istio, kube
from helpers.base import folding
from helpers.base.settings import current
from helpers.base.tables import Table
from helpers.proxies import EGRESS, GATEWAYS, PATH, SIDECAR

# The proxies that forward a request, with the VirtualService and the route in it that they follow.
_ROUTES = {
    "sidecar": ("istio-egress", "virtualservice/direct-lambda-through-egress-gateway", "/spec/http/0"),
    "egress gateway": ("istio-egress", "virtualservice/direct-lambda-through-egress-gateway", "/spec/http/1"),
    "ingress gateway": ("istio-ingress", "virtualservice/vs-lambda", "/spec/http/0"),
}
OUTLIERS = {"consecutive5xxErrors": 2, "interval": "1s", "baseEjectionTime": "30s"}
_ONCE = {"http": {"maxRequestsPerConnection": 1}}
_TO_EGRESS = ("destinationrule/egressgateway-for-lambda", "/spec/subsets/0/trafficPolicy/portLevelSettings/0")
_EGRESS_HOST = f"{EGRESS.target.partition('/')[2]}.{EGRESS.namespace}.svc.cluster.local"
# What notebooks change, as Envoy's configuration shows it: of the next hop, and of the routes.
_CONNECTIONS = ('"maxRequestsPerConnection"', '"connectTimeout": "1s"', '"outlierDetection"')
_HTTP2 = '"http2ProtocolOptions"'  # sidecars always use it to the gateway
_ON_ROUTES = ('"numRetries": 3', '"timeout": "1s"', '"perTryTimeout"', '"directResponse"')


class Cost(NamedTuple):
    """What a request got, after how many seconds, and how often the function was invoked for it."""

    status: int
    seconds: float
    invocations: int


def set_route(hop: str, field: str, value: Any) -> None:
    """Set a field of the route at that hop, such as "timeout" or "retries", and wait until its Envoy has it.

    https://istio.io/latest/docs/reference/config/networking/virtual-service/#HTTPRoute
    """
    proxy, (namespace, virtual_service, route) = PATH[hop], _ROUTES[hop]
    kube.set_field(proxy.context, namespace, virtual_service, f"{route}/{field}", value)
    istio.configured(proxy.context, proxy.workload, "routes", _in_envoy(field, value))


def _in_envoy(field: str, value: Any) -> str:
    """How Envoy's configuration shows it."""
    if field == "timeout":
        return f'"timeout": "{value}"'
    if limit := value.get("perTryTimeout"):
        return f'"perTryTimeout": "{limit}"'
    return f'"numRetries": {value["attempts"]}'


def set_connections(context: str, rule: str, field: str, value: Any, shown: str) -> None:
    """Set a field of a DestinationRule for its only port, and wait until the gateway's Envoy has it.

    `shown` is what Envoy's configuration has then. The settings of one port replace the rule's.
    https://istio.io/latest/docs/reference/config/networking/destination-rule/#TrafficPolicy
    """
    gateway, path = GATEWAYS[context], f"/spec/trafficPolicy/portLevelSettings/0/{field}"
    kube.set_field(context, gateway.namespace, f"destinationrule/{rule}", path, value)
    istio.configured(context, gateway.workload, "clusters", shown, _hosts()[context])


@folding.step()
def one_request_per_connection() -> None:
    """Let each proxy on the path open a connection for each request: open ones would hide a bad change."""
    shown, (rule, path) = '"maxRequestsPerConnection": 1', _TO_EGRESS
    kube.set_field("gke", EGRESS.namespace, rule, f"{path}/connectionPool", _ONCE)
    istio.configured("gke", SIDECAR.workload, "clusters", shown, _EGRESS_HOST)
    for context, each in {"gke": "dr-lambda-ext", "eks": "dr-alb-ext"}.items():
        set_connections(context, each, "connectionPool", _ONCE, shown)


@folding.step()
def fail_one_pod() -> None:
    """Run two pods of the egress gateway, one of which returns an error for each request."""
    kube.scale(*EGRESS, 2)
    name = kube.pod(*EGRESS).metadata.name
    kube.apply("gke", "manifests/gke/faulty-pod.yaml")
    kube.set_field("gke", EGRESS.namespace, f"pod/{name}", "/metadata/labels/faulty", "yes")
    istio.configured("gke", f"{name}.{EGRESS.namespace}", "listeners", "envoy.filters.http.fault")


def detect_outliers(most: int) -> None:
    """Let the sidecar of `sleep` stop using an address of the egress gateway after two errors in a row.

    It uses it again after 30 seconds; `most` is the percentage of addresses that may be out of use.
    """
    (rule, path), value = _TO_EGRESS, OUTLIERS | {"maxEjectionPercent": most}
    kube.set_field("gke", EGRESS.namespace, rule, f"{path}/outlierDetection", value)
    istio.configured("gke", SIDECAR.workload, "clusters", '"consecutive5xx": 2', _EGRESS_HOST)


@folding.step()
def reset() -> None:
    """The VirtualServices and DestinationRules as notebooks 4 and 5 applied them, in every Envoy."""
    kube.delete("gke", EGRESS.namespace, "envoyfilter/faulty-pod")
    kube.apply("gke", "manifests/gke/egressgateway-for-lambda.yaml")
    alb = {"ALB_HOST": current().alb_host}
    kube.apply("eks", "manifests/eks/vs-lambda.yaml", **alb)
    kube.apply("eks", "manifests/eks/dr-alb-ext.yaml", **alb)
    kube.apply("gke", "manifests/gke/direct-lambda-through-egress-gateway.yaml")
    kube.apply("gke", "manifests/gke/dr-lambda-ext.yaml")
    for proxy in PATH.values():
        istio.not_configured(proxy.context, proxy.workload, "routes", *_ON_ROUTES)
    for context, host in _hosts().items():
        workload = GATEWAYS[context].workload
        istio.not_configured(context, workload, "clusters", *_CONNECTIONS, _HTTP2, fqdn=host)
    istio.not_configured("gke", SIDECAR.workload, "clusters", *_CONNECTIONS, fqdn=_EGRESS_HOST)


def _hosts() -> dict[str, str]:
    """The next hop of each cluster's gateway."""
    return {"gke": "lambda.external", "eks": current().alb_host}


def request(at_least: int = 1) -> Cost:
    """One request from `sleep`, for which the function is invoked `at_least` so often."""
    parent = curl.traceparent()
    answer = callers.SLEEP.ask(callers.FUNCTION, "-H", f"traceparent: {parent}")
    return Cost(answer.status, answer.seconds, function.invocations(parent.split("-")[1], at_least))


def table(costs: dict[str, Cost], first: str) -> Table:
    """A row for each request."""
    rows = [(name, cost.status, f"{cost.seconds:.1f} s", cost.invocations) for name, cost in costs.items()]
    return Table((first, "status", "took", "invocations"), rows)

"""What the lab's Envoy lacks is refused or named in a warning; what has nothing to do with it works."""

import re
import uuid
from pathlib import Path

import pytest

from tests.conformance import workloads
from tests.conformance.mesh import Mesh, eventually, settled
from tests.conformance.test_authorization import FRESH, of_httpbin
from tests.conftest import completed

pytestmark = pytest.mark.slow


def telemetry(spec: str) -> str:
    return f"""
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {{name: conformance}}
spec: {spec}
"""


def test_metrics_are_refused(gke: Mesh) -> None:
    """https://istio.io/latest/docs/tasks/observability/metrics/telemetry-api/"""
    refused = gke.run("apply", "-f", "-", stdin=telemetry("{metrics: [{providers: [{name: prometheus}]}]}"))
    assert refused.returncode and "The lab's Envoy has no istio.stats" in refused.stderr
    assert "NotFound" in gke.run("get", "telemetry", "conformance").stderr


def test_access_logs(gke: Mesh) -> None:
    """https://istio.io/latest/docs/tasks/observability/logs/telemetry-api/, with a filter."""

    def logged() -> bool:
        """Whether a GET is, once a later POST is."""
        get, post = f"/{uuid.uuid4()}", f"/{uuid.uuid4()}"
        gke.curl(f"http://httpbin:8000{get}")
        gke.curl("-X", "POST", f"http://httpbin:8000{post}")
        eventually(lambda: post in gke.log("sleep"), 5)
        return get in gke.log("sleep")

    assert logged()
    posts = """filter: {expression: "request.method == 'POST'"}"""
    with gke.applied(telemetry(f"{{accessLogging: [{{providers: [{{name: envoy}}], {posts}}}]}}")):
        settled(logged, False)
    settled(logged, True)


def test_proxy_status(gke: Mesh, tmp_path: Path) -> None:
    """https://istio.io/latest/docs/ops/diagnostic-tools/proxy-cmd/"""

    def status(app: str) -> tuple[int, list[str]]:
        """istioctl's exit status, and which kinds of configuration match istiod's."""
        pod = gke.kubectl("get", "pod", "-l", f"app={app}", "-o", "jsonpath={.items[0].metadata.name}")
        command = ("istioctl", "--context", gke.context, "proxy-status", f"{pod}.conformance")
        done = completed(gke.environment | {"HOME": str(tmp_path)}, *command)
        return done.returncode, re.findall(r"^(\w+) Match", done.stdout, re.MULTILINE)

    eventually(lambda: status("sleep") == (0, ["Clusters", "Listeners", "Routes"]))
    failed, matching = status("legacy")  # without a sidecar
    assert failed and not matching


def test_port_without_a_protocol(gke: Mesh) -> None:
    """https://istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection/

    Stock Envoy takes HTTP in the mesh's mutual TLS for TCP, which meets no rule about HTTP.
    """

    def page(name: str) -> str:
        # No other Service has 9002: istiod takes a pod's port for what the oldest Service says.
        return workloads.service("page", {"app": "httpbin", "version": "v1"}, {name: (80, 9002)})

    def statuses() -> tuple[int, int]:
        """With and without a sidecar at the caller."""
        return gke.curl("http://page/").status, gke.curl("http://page/", of="legacy").status

    get = of_httpbin("viewer", "action: ALLOW, rules: [{to: [{operation: {methods: [GET]}}]}]")
    warned = gke.run("apply", "--dry-run=server", "-f", "-", stdin=page("web")).stderr
    assert "Warning: " in warned and "says the protocol of port 80." in warned
    with gke.applied(page("web"), FRESH.replace("httpbin", "page")):
        settled(statuses, (200, 200))
        with gke.applied(get):
            settled(statuses, (503, 200))
            assert not gke.run("apply", "-f", "-", stdin=page("http-web")).stderr
            settled(statuses, (200, 200))
            assert gke.curl("-X", "POST", "http://page/").status == 403

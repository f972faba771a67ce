"""Traffic management inside the mesh."""

import json
import re
import uuid

import pytest

from tests.conformance.mesh import Mesh, eventually, settled

VERSIONS = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: httpbin}
spec:
  host: httpbin
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
"""


def routes(*http: str) -> str:
    """A VirtualService for httpbin with these rules, in flow style."""
    rules = "\n".join(f"  - {rule}" for rule in http)
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: httpbin}}
spec:
  hosts: [httpbin]
  http:
{rules}
"""


def to(version: str, more: str = "") -> str:
    return f"{{route: [{{destination: {{host: httpbin, subset: {version}}}}}]{more}}}"


def of_jason(more: str) -> str:
    """A rule for the user jason only."""
    return f"{{match: [{{headers: {{end-user: {{exact: jason}}}}}}], {more}}}"


def test_request_routing(gke: Mesh) -> None:
    """https://istio.io/latest/docs/tasks/traffic-management/request-routing/"""

    def versions(user: str = "") -> set[str]:
        """Which ones answer ten requests."""
        requests = f"for i in 0 1 2 3 4 5 6 7 8 9; do curl -s -m 5 -H 'end-user: {user}' httpbin:8000/; done"
        return set(re.findall(r'"server": "(\w+)"', gke.sh(requests).stdout))

    eventually(lambda: versions() == {"v1", "v2"})
    with gke.applied(VERSIONS, routes(to("v1"))):
        settled(versions, {"v1"})
        assert versions("jason") == {"v1"}
        jason = of_jason("route: [{destination: {host: httpbin, subset: v2}}]")
        with gke.applied(routes(jason, to("v1"))):
            settled(lambda: versions("jason"), {"v2"})
            assert versions("mary") == versions() == {"v1"}


@pytest.mark.slow
def test_fault_injection(gke: Mesh) -> None:
    """https://istio.io/latest/docs/tasks/traffic-management/fault-injection/"""
    route = "route: [{destination: {host: httpbin, subset: v1}}]"
    delay = of_jason(f"fault: {{delay: {{percentage: {{value: 100}}, fixedDelay: 3s}}}}, {route}")
    abort = of_jason(f"fault: {{abort: {{percentage: {{value: 100}}, httpStatus: 500}}}}, {route}")
    jason = ("-H", "end-user: jason", "http://httpbin:8000/")
    with gke.applied(VERSIONS, routes(delay, to("v1"))):
        eventually(lambda: gke.curl(*jason).seconds >= 3)
        assert gke.curl(*jason).status == 200
        assert gke.curl("http://httpbin:8000/").seconds < 3
    with gke.applied(VERSIONS, routes(abort, to("v1"))):
        eventually(lambda: gke.curl(*jason).status == 500)
        assert gke.curl(*jason).text == "fault filter abort"
        assert gke.curl("http://httpbin:8000/").status == 200


@pytest.mark.slow
def test_mirroring(gke: Mesh) -> None:
    """https://istio.io/latest/docs/tasks/traffic-management/mirroring/"""

    def sent() -> str:
        """The path of a request that v1 answered."""
        path = f"/{uuid.uuid4()}"
        answer = gke.curl(f"http://httpbin:8000{path}")
        assert (answer.status, answer.seen.get("server")) == (200, "v1")
        return path

    def arrived(path: str) -> list[str]:
        """The authorities with which v2 got it."""
        entries = [json.loads(line) for line in gke.log("httpbin-v2").splitlines() if path in line]
        return [entry["authority"] for entry in entries]

    def mirrored(path: str) -> list[str]:
        return eventually(lambda: arrived(path), 5)

    with gke.applied(VERSIONS, routes(to("v1"))):
        settled(lambda: gke.curl("http://httpbin:8000/").seen.get("server"), "v1")
        alone = sent()
        mirror = ", mirror: {host: httpbin, subset: v2}, mirrorPercentage: {value: 100}"
        with gke.applied(routes(to("v1", mirror))):
            # The page still mentions a suffix -shadow; istiod has DISABLE_SHADOW_HOST_SUFFIX=true by default.
            assert eventually(lambda: mirrored(sent())) == ["httpbin:8000"]
    assert arrived(alone) == []

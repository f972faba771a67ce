"""Who may call, and from where."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.conformance import workloads
from tests.conformance.conftest import ADDRESS, Outside
from tests.conformance.mesh import Mesh, eventually, settled

# On a kept connection, the first request after a change still follows the former policy.
FRESH = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: httpbin}
spec:
  host: httpbin
  trafficPolicy: {connectionPool: {http: {maxRequestsPerConnection: 1}}}
"""


def policy(name: str, spec: str) -> str:
    """An AuthorizationPolicy; `spec` in flow style."""
    return f"""
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: {name}}}
spec: {spec}
"""


def of_httpbin(name: str, rest: str) -> str:
    return policy(name, f"{{selector: {{matchLabels: {{app: httpbin}}}}, {rest}}}")


def test_http(gke: Mesh) -> None:
    """https://istio.io/latest/docs/tasks/security/authorization/authz-http/"""

    def status(*words: str, of: str = "sleep") -> int:
        return gke.curl(*words, "http://httpbin:8000/", of=of).status

    def viewer(account: str) -> str:
        source = f"{{principals: [cluster.local/ns/conformance/sa/{account}]}}"
        rule = f"{{from: [{{source: {source}}}], to: [{{operation: {{methods: [GET]}}}}]}}"
        return of_httpbin("viewer", f"action: ALLOW, rules: [{rule}]")

    with gke.applied(FRESH, policy("allow-nothing", "{}")):
        settled(status, 403)
        assert gke.curl("http://httpbin:8000/").text == "RBAC: access denied"
        with gke.applied(viewer("sleep")):
            settled(status, 200)
            settled(lambda: status("-X", "POST"), 403)
            settled(lambda: status(of="legacy"), 403)  # it has no identity
            gke.apply(viewer("another"))
            settled(status, 403)
    settled(status, 200)


@pytest.mark.slow
def test_tcp(gke: Mesh) -> None:
    """https://istio.io/latest/docs/tasks/security/authorization/authz-tcp/"""
    pod = gke.kubectl("get", "pod", "-l", "version=v1", "-o", "jsonpath={.items[0].status.podIP}")

    def answers() -> tuple[bool, bool, bool]:
        """On 9000 and 9001, which the Service has, and on 9002, which it has not."""
        page = gke.sh("curl -s -m 5 http://tcp-echo:9001/").stdout, gke.sh(f"curl -s -m 5 {pod}:9002").stdout
        return gke.tcp("tcp-echo", 9000) == "v1 hello", page[0] == "9001\n", page[1] == "9001\n"

    def policy_of(action: str, operation: str) -> str:
        return of_httpbin("tcp-policy", f"action: {action}, rules: [{{to: [{{operation: {operation}}}]}}]")

    settled(answers, (True, True, True))
    with gke.applied(policy_of("ALLOW", '{ports: ["9000", "9001"]}')):
        settled(answers, (True, True, False))
        gke.apply(policy_of("ALLOW", '{methods: [GET], ports: ["9000"]}'))  # a field of HTTP: never met
        settled(answers, (False, False, False))
        gke.apply(policy_of("DENY", "{methods: [GET]}"))
        settled(lambda: answers()[:2], (False, False))
        gke.apply(policy_of("DENY", '{methods: [GET], ports: ["9000"]}'))
        settled(lambda: answers()[:2], (False, True))


ISSUER = "testing@secure.example.com"


def url_safe(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """Of JSON Web Tokens."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(65537, 2048)

    def token(self, **claims: Any) -> str:
        claims = {"iss": ISSUER, "sub": ISSUER, "exp": 2**33, **claims}
        parts = {"alg": "RS256", "kid": "1", "typ": "JWT"}, claims
        signed = ".".join(url_safe(json.dumps(part).encode()) for part in parts)
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{url_safe(signature)}"

    def jwks(self) -> str:
        numbers = self._key.public_key().public_numbers()
        e, n = (url_safe(value.to_bytes(size, "big")) for value, size in ((numbers.e, 3), (numbers.n, 256)))
        return json.dumps({"keys": [{"kty": "RSA", "kid": "1", "alg": "RS256", "e": e, "n": n}]})


@pytest.mark.slow
def test_jwt(gke: Mesh) -> None:
    """https://istio.io/latest/docs/tasks/security/authorization/authz-jwt/"""
    issuer = Issuer()
    accepted = f"""
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{name: jwt-example}}
spec:
  selector: {{matchLabels: {{app: httpbin}}}}
  jwtRules:
  - issuer: {ISSUER}
    jwks: '{issuer.jwks()}'
"""

    def status(token: str = "") -> int:
        words = ("-H", f"Authorization: Bearer {token}") if token else ()
        return gke.curl(*words, "http://httpbin:8000/").status

    def required(when: str = "") -> str:
        source = f'{{requestPrincipals: ["{ISSUER}/{ISSUER}"]}}'
        return of_httpbin("require-jwt", f"action: ALLOW, rules: [{{from: [{{source: {source}}}]{when}}}]")

    with gke.applied(FRESH, accepted):
        settled(lambda: status("invalid"), 401)
        assert status(Issuer().token()) == 401  # signed by somebody else
        assert status(issuer.token()) == status() == 200
        with gke.applied(required()):
            settled(status, 403)
            settled(lambda: status(issuer.token()), 200)
            settled(lambda: status(issuer.token(sub="somebody")), 403)
            gke.apply(required(', when: [{key: "request.auth.claims[groups]", values: [group1]}]'))
            settled(lambda: status(issuer.token()), 403)
            settled(lambda: status(issuer.token(groups=["group1", "group2"])), 200)
            settled(lambda: status(issuer.token(groups=["group2"])), 403)


EXPOSED = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: httpbin}
spec:
  selector: {istio: conformance-ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: httpbin}
spec:
  hosts: ["*"]
  gateways: [httpbin]
  http:
  - {route: [{destination: {host: httpbin, port: {number: 8000}}}]}
"""
ELSEWHERE = '["192.0.2.4", "203.0.113.0/24"]'
HERE = f'["192.0.2.4", "{ADDRESS}"]'


def ingress_policy(action: str, source: str) -> str:
    selector = "{matchLabels: {istio: conformance-ingressgateway}}"
    rules = f"[{{from: [{{source: {{{source}}}}}]}}]"
    return policy("ingress-policy", f"{{selector: {selector}, action: {action}, rules: {rules}}}")


@pytest.mark.slow
def test_ingress_of_gke(gke: Mesh, ingress: str, outside: Outside) -> None:
    """https://istio.io/latest/docs/tasks/security/authorization/authz-ingress/

    With a load balancer that keeps the client's address, and externalTrafficPolicy: Local.
    """

    def status() -> int:
        return outside.curl(f"http://{ingress}/").status

    with gke.applied(EXPOSED):
        eventually(lambda: status() == 200)
        with gke.applied(ingress_policy("ALLOW", f"ipBlocks: {ELSEWHERE}")):
            settled(status, 403)
            gke.apply(ingress_policy("ALLOW", f"ipBlocks: {HERE}"))
            settled(status, 200)
            gke.apply(ingress_policy("DENY", f"ipBlocks: {HERE}"))
            settled(status, 403)
            gke.apply(ingress_policy("DENY", f"ipBlocks: {ELSEWHERE}"))
            settled(status, 200)


@pytest.mark.slow
def test_ingress_of_eks(eks: Mesh, outside: Outside) -> None:
    """https://istio.io/latest/docs/tasks/security/authorization/authz-ingress/

    With a Classic Load Balancer, which tells the client's address by the PROXY protocol, or not.
    """

    proxied = {"service.beta.kubernetes.io/aws-load-balancer-proxy-protocol": "*"}

    def balancer(annotations: dict[str, str]) -> str:
        return workloads.service(
            "istio-ingressgateway", {"istio": "conformance-ingressgateway"}, {"http2": (80, 8080)},
            type="LoadBalancer",
            annotations=annotations,
        )  # fmt: skip

    def status() -> int:
        return outside.curl(f"http://{host}/").status

    with eks.applied(EXPOSED, balancer(proxied)):
        name = "jsonpath={.status.loadBalancer.ingress[0].hostname}"
        host = eventually(lambda: eks.kubectl("get", "service", "istio-ingressgateway", "-o", name))
        eventually(lambda: status() == 200)
        with eks.applied(ingress_policy("ALLOW", f"remoteIpBlocks: {ELSEWHERE}")):
            settled(status, 403)
            eks.apply(ingress_policy("ALLOW", f"remoteIpBlocks: {HERE}"))
            settled(status, 200)
            eks.apply(balancer({}))  # without its header, the gateway ends connections
            settled(status, 0)

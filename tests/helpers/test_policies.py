"""AuthorizationPolicies, as Istio defines them, on a real API server; an Envoy's part is the test's own."""

import re
from typing import ClassVar

import pytest

from helpers import callers, kube, pki, policies
from helpers.base.errors import ApiError, TimedOutError
from helpers.proxies import INGRESS
from tests import web
from tests.helpers import mesh
from tests.helpers.api_server import kubectl

PATH = "manifests/eks/one-client.yaml"
RULES = {
    "by-name": "from: [{source: {principals: [client.lambda.external]}}]",
    "any-principal": 'from: [{source: {principals: ["*"]}}]',
}


class Door(web.Handler):
    """Lets a client pass that one of the rules names, or all if one admits any; without a rule, too."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.headers["name"])
        paths = "jsonpath={.items[*].spec.rules[*].from[*].source.principals[*]}"
        names = kubectl("-n", INGRESS.namespace, "get", "authorizationpolicies", "-o", paths).stdout.split()
        self.answer(200 if not names or {self.headers["name"], "*"} & {*names} else 403)


@pytest.fixture
def rules(both, programs):
    """The namespace, the kind, and no policy."""
    kube.namespace("eks", INGRESS.namespace)
    mesh.kinds(programs, "AuthorizationPolicy")
    yield
    kubectl("-n", INGRESS.namespace, "delete", "authorizationpolicies", "--all")


@pytest.fixture
def clients():
    files = pki.ensure()
    pair = (files.client_cert, files.client_key)
    with web.serving(web.on_loopback(Door)) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        names = ("client.lambda.external", "another")
        yield [callers.with_certificate(name, pair, url, "-H", f"name: {name}") for name in names]


def there() -> list[str]:
    return [each.metadata.name for each in kube.get("eks", "authorizationpolicies", INGRESS.namespace)]


def test_each_rule_is_compared_alone_and_the_workload_is_never_without(rules, envoys, clients, capsys):
    envoys.late = 1
    capsys.readouterr()
    found = policies.compare("eks", INGRESS.workload, PATH, RULES, clients)
    assert found == {"by-name": ["200", "403"], "any-principal": ["200", "200"]}
    assert there() == ["any-principal"]
    said = re.findall(r"# → (\S+ \S+ deleted|\S+ serverside-applied)", capsys.readouterr().out)
    kind = "authorizationpolicy"
    assert said == [
        f"{kind}.security.istio.io/by-name serverside-applied",
        f"{kind}.security.istio.io/any-principal serverside-applied",
        f'{kind} "by-name" deleted',
    ]


def test_a_rule_that_the_api_server_rejects_leaves_the_one_before(rules, envoys, clients):
    broken = {"by-name": RULES["by-name"], "broken": "from: [{source: {principal: [x]}}]"}
    with pytest.raises(ApiError, match="principal"):
        policies.compare("eks", INGRESS.workload, PATH, broken, clients)
    assert there() == ["by-name"]


def test_no_client_is_asked_before_the_envoy_has_the_rule(rules, envoys, clients, impatient):
    Door.asked.clear()
    envoys.late = 1000
    with pytest.raises(TimedOutError, match=f"by-name.{INGRESS.namespace} in {INGRESS.workload}"):
        policies.compare("eks", INGRESS.workload, PATH, RULES, clients)
    assert Door.asked == []


def test_those_that_exist_are_deleted(rules, capsys):
    for name, rule in RULES.items():
        kube.apply("eks", PATH, NAME=name, RULE=rule)
    capsys.readouterr()
    policies.delete("eks", INGRESS.namespace, "by-name", "none")
    assert there() == ["any-principal"]
    assert capsys.readouterr().out.count("deleted") == 1

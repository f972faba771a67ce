"""What participants break: `check` names the notebook, and running that notebook again repairs it.

Each test ends with everything repaired.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from helpers.base import contents
from series.run import notebooks
from tests.conftest import completed, run
from tests.faults.proxy import Answer, Call, Proxy, Send
from tests.test_series import build

Env = dict[str, str]
PYTHON = sys.executable
Break = Callable[[Env], None]


def aws(env: Env, *words: str) -> str:
    """The CLI's output as text."""
    return run(env, "aws", *words, "--output", "text").strip()


def kubectl(context: str, *words: str) -> Break:
    return lambda env: void(run(env, "kubectl", "--context", context, *words))


def void(_: str) -> None: ...


def delete(context: str, what: str) -> Break:
    return kubectl(context, "-n", {"eks": "istio-ingress", "gke": "istio-egress"}[context], "delete", what)


def patch(what: str, patch: str) -> Break:
    return kubectl("gke", "-n", "istio-egress", "patch", what, "--type=json", "-p", patch)


def no_listener(env: Env) -> None:
    aws(env, "elbv2", "delete-listener", "--listener-arn", listener(env))


def listener(env: Env) -> str:
    query = "Listeners[?Port==`443`].ListenerArn"
    return aws(env, "elbv2", "describe-listeners", "--load-balancer-arn", balancer(env), "--query", query)


def balancer(env: Env) -> str:
    return aws(env, "elbv2", "describe-load-balancers", "--query", "LoadBalancers[0].LoadBalancerArn")


def no_rule(env: Env) -> None:
    group = security_group(env, "group-name", "*-alb")
    words = ("--group-id", group, "--protocol", "tcp", "--port", "443", "--cidr")
    aws(env, "ec2", "revoke-security-group-ingress", *words, "10.0.0.0/16")
    aws(env, "ec2", "authorize-security-group-ingress", *words, "192.168.0.0/16")


def wrong_security_groups(env: Env) -> None:
    """HTTPS is allowed from another network, in a group that the load balancer no longer has."""
    no_rule(env)
    another_security_group(env)


def another_security_group(env: Env) -> None:
    query = "LoadBalancers[0].VpcId"
    vpc = aws(env, "elbv2", "describe-load-balancers", "--query", query)
    group = security_group(env, "group-name", "default", vpc)
    words = ("--load-balancer-arn", balancer(env), "--security-groups", group)
    aws(env, "elbv2", "set-security-groups", *words)


def security_group(env: Env, name: str, value: str, vpc: str = "*") -> str:
    filters = (f"Name={name},Values={value}", f"Name=vpc-id,Values={vpc}")
    query = ("--query", "SecurityGroups[0].GroupId")
    return aws(env, "ec2", "describe-security-groups", "--filters", *filters, *query)


def no_target(env: Env) -> None:
    query = ("--query", "TargetGroups[0].TargetGroupArn")
    group = ("--target-group-arn", aws(env, "elbv2", "describe-target-groups", *query))
    query = ("--query", "TargetHealthDescriptions[0].Target.Id")
    target = aws(env, "elbv2", "describe-target-health", *group, *query)
    aws(env, "elbv2", "deregister-targets", *group, "--targets", f"Id={target}")


def strangers_certificate(env: Env) -> None:
    certs = build(env) / "certs"
    files = {"key": "stranger.key", "cert": "stranger.crt", "cacert": "mtls-ca.crt"}
    sources = [f"--from-file={key}={certs / name}" for key, name in files.items()]
    secret = ("-n", "istio-egress", "create", "secret", "generic", "mtls-credential", *sources)
    delete("gke", "secret/mtls-credential")(env)
    kubectl("gke", *secret)(env)


def scaled_down(context: str, namespace: str, name: str) -> Break:
    return kubectl(context, "-n", namespace, "scale", f"deploy/{name}", "--replicas=0")


ANOTHER_ROUTE = '[{"op": "replace", "path": "/spec/http/1/route/0/destination/port/number", "value": 81}]'
DEAD_ADDRESS = '[{"op": "replace", "path": "/spec/endpoints/0/address", "value": "198.51.100.250"}]'

# By the notebook that creates it; those of one test are broken at the same time.
BROKEN: dict[str, dict[str, Break]] = {
    "route": {
        "05": patch("virtualservice/direct-lambda-through-egress-gateway", ANOTHER_ROUTE),
    },
    "listener, gateways, Secret, address": {
        "01": no_listener,
        "02": scaled_down("eks", "istio-ingress", "istio-ingressgateway"),
        "03": scaled_down("gke", "istio-egress", "istio-egressgateway"),
        "04": delete("eks", "secret/mtls-credential"),
        "05": patch("serviceentry/se-lambda-ext", DEAD_ADDRESS),
    },
    "target, Service, sleep, Gateway, certificate": {
        "01": no_target,
        "02": kubectl("eks", "-n", "istio-system", "delete", "service/istiod"),
        "03": scaled_down("gke", "sleep", "sleep"),
        "04": delete("eks", "gateway/eastwestgateway"),
        "05": strangers_certificate,
    },
    "security groups, route, rule": {
        "01": wrong_security_groups,
        "04": delete("eks", "virtualservice/vs-lambda"),
        "05": delete("gke", "destinationrule/dr-lambda-ext"),
    },
}


def check(env: Env) -> str:
    """The number of the notebook to run again; "" if all checks pass."""
    done = completed(env, PYTHON, "-m", "series.check")
    if done.returncode == 0:
        assert "Not run yet: none" in done.stdout, done.stdout
        return ""
    assert done.stdout.count("✗") == 1, done.stdout + done.stderr
    [number] = re.findall(r"make tutorial FROM=(\d\d) TO=\1$", done.stderr.strip())
    return str(number)


@contextmanager
def counting(env: Env) -> Iterator[list[str]]:
    """Changing calls to either cloud in this block; the settings file redirects them through proxies."""
    changing: list[str] = []

    def judge(call: Call, send: Send) -> Answer:
        if call.changes and not call.operation.endswith("/invocations"):
            changing.append(str(call))
        return send()

    clouds = env["AWS_ENDPOINT_URL"], env["CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER"].rstrip("/")
    proxies = [Proxy(url, judge) for url in clouds]
    settings = Path(env["TUTORIAL_SETTINGS"])
    text = changed = settings.read_text()
    for url, proxy in zip(clouds, proxies, strict=True):
        changed = changed.replace(url, proxy.url)
    settings.write_text(changed)
    try:
        yield changing
    finally:
        settings.write_text(text)
        for proxy in proxies:
            proxy.close()


def in_the_clusters(env: Env) -> dict[str, str]:
    """Each object that notebooks create in clusters, and its version."""
    kinds = "secrets,services,gateways,virtualservices,serviceentries,destinationrules"
    found = {}
    for context in ("eks", "gke"):
        listed = run(env, "kubectl", "--context", context, "get", kinds, "-A", "-o", "json")
        for item in json.loads(listed)["items"]:
            metadata = item["metadata"]
            name = f"{context} {item['kind']} {metadata['namespace']}/{metadata['name']}"
            found[name] = metadata["resourceVersion"]
    return found


def sets() -> Iterator[Any]:
    """One is enough for `make test`; the others are slow."""
    for number, (name, broken) in enumerate(BROKEN.items()):
        yield pytest.param(broken, id=name, marks=[pytest.mark.slow] if number else [])


@pytest.mark.parametrize("broken", [*sets()])
def test_check_names_the_notebook_and_running_it_again_repairs_it(meshes, broken):
    for do in broken.values():
        do(meshes)
    before = in_the_clusters(meshes)
    with counting(meshes) as changing:
        named = [check(meshes)]
    assert (changing, in_the_clusters(meshes)) == ([], before)
    while named[-1] and len(named) <= len(broken):
        run(meshes, PYTHON, "-m", "series.run", "--from", named[-1], "--to", named[-1])
        named.append(check(meshes))
    assert named == [*broken, ""]


def test_finished_notebooks_are_not_run_again(meshes):
    said = run(meshes, PYTHON, "-m", "series.run", "--to", "01")
    assert said.count("already finished") == 2 and "0 notebooks in" in said


@pytest.mark.slow
@pytest.mark.parametrize("number", [f"{number:02}" for number in range(7)])
def test_later_notebooks_can_be_undone_and_run_again(meshes, number):
    cleanup = (PYTHON, "-m", "helpers.cleanup", "--from", number)
    listed = run(meshes, *cleanup, "--dry-run")
    assert ("would delete" in listed) == (number != "06")
    run(meshes, *cleanup)
    assert "would delete" not in run(meshes, *cleanup, "--dry-run")
    left = completed(meshes, PYTHON, "-m", "series.check")
    not_run = [notebook.stem for notebook in notebooks(contents.ARTICLE) if notebook.name[:2] >= number]
    if number != "06":  # which creates nothing
        assert left.stdout.endswith(f"Not run yet: {', '.join(not_run)}\n"), left.stdout + left.stderr
    run(meshes, PYTHON, "-m", "series.run", "--from", number)
    assert check(meshes) == ""

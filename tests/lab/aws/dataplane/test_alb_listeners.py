"""Listeners, TLS, the access log and target health of the load balancer, on real sockets."""

import functools
import os
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator

import pytest

from lab.aws.dataplane.load_balancer import Balancer, Certificate, HealthCheck, TargetGroup
from lab.errors import LabError
from tests.lab.aws.dataplane.alb import (
    ADDRESSES,
    GROUP_ARN,
    HOST,
    Alb,
    ExampleCa,
    curl,
    function,
    leftover_keys,
    namespace,
    run_curl,
    until,
)


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("http_version", ["--http1.1", "--http2"])
def test_every_address_presents_the_whole_chain(alb, address, http_version):
    answer = curl(http_version, *alb.tls(address=address))
    assert (answer.version, answer.status) == (
        {"--http1.1": "HTTP/1.1", "--http2": "HTTP/2"}[http_version],
        200,
    )
    assert answer.headers["server"] == "awselb/2.0"
    until(lambda: leftover_keys() == [])  # listeners of other workers have such files for a moment


def test_another_name_or_an_untrusted_ca_fails_verification(alb):
    wrong_name = run_curl("--cacert", str(alb.root), f"https://127.0.0.1:{alb.https}/")
    assert wrong_name.returncode == 60
    no_trust = run_curl(*alb.tls()[2:])
    assert no_trust.returncode == 60


def test_a_new_certificate_is_presented_at_once(alb):
    """The listener is not notified: it gets its certificate at each handshake."""
    former, other = alb.certificate, ExampleCa("another")
    alb.certificate = other.leaf()
    assert run_curl(*alb.tls()).returncode == 60
    alb.root.write_text(other.root)
    assert curl(*alb.tls()).status == 200
    alb.certificate = former
    alb.root.write_text(alb.authority.root)
    assert curl(*alb.tls()).status == 200
    until(lambda: leftover_keys() == [])  # listeners of other workers have such files for a moment


def test_invalid_listeners_change_nothing(alb):
    mixed = Certificate(
        "arn", alb.certificate.certificate, alb.authority.leaf().private_key, alb.certificate.chain
    )
    with pytest.raises(ssl.SSLError, match="KEY_VALUES_MISMATCH"):
        alb.balancer.set_listener(alb.https, "HTTPS", alb.group, lambda: mixed)
    with pytest.raises(ValueError, match="needs a certificate"):
        alb.balancer.set_listener(alb.https, "HTTPS", alb.group)
    assert curl(*alb.tls()).status == 200
    until(lambda: leftover_keys() == [])  # listeners of other workers have such files for a moment
    with socket.create_server(("127.0.0.2", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            LabError, match=f"listening on 127.0.0.2:{port} for the load balancer app/lb/50dc"
        ):
            alb.balancer.set_listener(port, "HTTP", alb.group)
    assert run_curl(f"http://127.0.0.1:{port}/").returncode == 7


def test_addresses_can_be_removed_and_added(alb):
    stays, goes = ADDRESSES
    connections = [socket.create_connection((address, alb.http), 10) for address in (stays, goes)]
    alb.balancer.set_addresses([stays, "127.0.0.3"])
    for connection, answer in zip(connections, (b"H", b""), strict=True):
        with connection:
            connection.sendall(b"GET /count HTTP/1.1\r\nHost: a\r\n\r\n")
            assert connection.recv(1) == answer
    assert run_curl(f"http://{goes}:{alb.http}/").returncode == 7
    for address in (stays, "127.0.0.3"):
        assert curl(f"http://{address}:{alb.http}/").status == 200
        assert curl(*alb.tls(address=address)).status == 200
    alb.balancer.set_addresses(ADDRESSES)
    assert curl(*alb.tls(address=goes)).status == 200


def test_a_request_in_flight_is_answered_before_its_address_is_removed(alb):
    stays, goes = ADDRESSES
    with socket.create_connection((goes, alb.http), 10) as connection:
        connection.sendall(b"GET /sleep HTTP/1.1\r\nHost: a\r\n\r\n")  # until the function's timeout
        alb.balancer.set_addresses([stays])
        assert connection.recv(12) == b"HTTP/1.1 502"
        assert run_curl(f"http://{goes}:{alb.http}/").returncode == 7
    alb.balancer.set_addresses(ADDRESSES)


def test_a_removed_listener_closes_its_connections(alb):
    with socket.create_connection(("127.0.0.1", alb.http), 10) as connection:
        connection.sendall(b"GET /count HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        alb.balancer.remove_listener(alb.http)
        assert connection.recv(1) == b""
    for address in ADDRESSES:
        assert run_curl(f"http://{address}:{alb.http}/").returncode == 7
    assert curl(*alb.tls()).status == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_load_balancer_listens_only_in_its_namespace():
    with namespace("10.0.1.186") as inside:
        balancer = Balancer("app/inside/1", ["10.0.1.186"], inside)
        balancer.set_listener(80, "HTTP", TargetGroup(GROUP_ARN))
        try:
            command = ["nsenter", f"--net={inside}", "curl", "-s", "-m", "5", "http://10.0.1.186/"]
            assert (
                b"503 Service Temporarily Unavailable" in subprocess.run(command, capture_output=True).stdout
            )
            with pytest.raises(LabError, match="Cannot assign requested address"):
                outside = Balancer("app/outside/1", ["10.0.1.186"])
                outside.set_listener(80, "HTTP", TargetGroup(GROUP_ARN))
        finally:
            balancer.close()


def test_access_log_entries(alb):
    body = curl("--http2", "-A", 'a "b"', *alb.tls("/x?y=z")).json
    curl(alb.url("/raise"), body=b"12345")
    h2, failed = alb.lines
    port = alb.https
    time_, number = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", r"\d+\.\d{3}"
    common = rf"{time_} app/lb/50dc 127\.0\.0\.1:\d+ - {number} {number} {number}"
    rest = rf'0 {time_} "forward" "-" "%s" "-" "-" "-" "-" TID_[0-9a-f]{{32}} "-" "-" "-"'
    arn, trace = re.escape(GROUP_ARN), body["headers"]["x-amzn-trace-id"]
    assert re.fullmatch(
        rf'h2 {common} 200 200 \d+ \d+ "GET https://{HOST}:{port}/x\?y=z HTTP/2\.0" "a %22b%22" '
        rf'TLS_\w+ TLSv1\.3 {arn} "{trace}" "{HOST}" "{re.escape(alb.certificate.arn)}" {rest % "-"}',
        h2,
    )
    assert re.fullmatch(
        rf'http {common} 502 - \d+ \d+ "POST http://127\.0\.0\.1:{alb.http}/raise HTTP/1\.1" "curl/[\d.]+" '
        rf'- - {arn} "Root=\S+" "-" "-" {rest % "LambdaUnhandled"}',
        failed,
    )


def test_a_client_that_disconnects_is_logged(alb, gate):
    with socket.create_connection(("127.0.0.1", alb.http), 10) as connection:
        connection.sendall(f"GET /wait?port={gate.port} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        gate.wait_for(1)
    until(lambda: curl(alb.url("/count")).status == 200)
    gate.open()
    until(lambda: "460" in [record["elb_status_code"] for record in alb.records])


@pytest.fixture
def checked(alb: Alb) -> Iterator[TargetGroup]:
    """A group in use, with its own function and frequent health checks."""
    group = TargetGroup(GROUP_ARN)
    group.set_health_check(
        HealthCheck(True, "/health", 0.05, 0.5, healthy_threshold=2, unhealthy_threshold=2)
    )
    alb.functions.deploy(function("checked", "def handler(e, c): return {'statusCode': 200}"))
    group.register(functools.partial(alb.functions.invoke, "checked"))
    group.set_in_use(True)
    yield group
    group.close()
    alb.functions.remove("checked")


def has(group: TargetGroup, state: str, reason: str | None = None, description: str | None = None):
    health = group.health()
    return (health.state, health.reason, health.description) == (state, reason, description)


def test_a_healthy_target_fails_and_recovers(alb, checked):
    until(lambda: has(checked, "healthy"))
    deploy = lambda source: alb.functions.deploy(function("checked", source))  # noqa: E731
    deploy("def handler(e, c): return {'statusCode': 503}")
    mismatch = "Health checks failed with these codes: [503]"
    until(lambda: has(checked, "unhealthy", "Target.ResponseCodeMismatch", mismatch))
    deploy("def handler(e, c): raise ValueError")
    until(lambda: has(checked, "unhealthy", "Target.FailedHealthChecks", "Health checks failed"))
    deploy("import time\ndef handler(e, c): time.sleep(2)")
    until(lambda: has(checked, "unhealthy", "Target.Timeout", "Request timed out"))
    deploy("""
def handler(event, context):
    ours = event["headers"] == {"user-agent": "ELB-HealthChecker/2.0"} and event["path"] == "/health"
    return {"statusCode": 200 if ours else 500}
""")
    until(lambda: has(checked, "healthy"))
    assert alb.records == []  # AWS does not log health checks


def test_states_without_checks(alb, checked):
    checked.set_health_check(HealthCheck(enabled=False))
    assert has(checked, "unavailable", "Target.HealthCheckDisabled", "Health checks are disabled")
    checked.set_in_use(False)
    not_in_use = "Target group is not configured to receive traffic from the load balancer"
    assert has(checked, "unused", "Target.NotInUse", not_in_use)
    checked.deregister()
    not_registered = "Target is not registered to the target group"
    assert has(checked, "unused", "Target.NotRegistered", not_registered)


def test_a_new_registration_starts_as_initial(alb, checked):
    until(lambda: has(checked, "healthy"))
    gate = threading.Event()

    def blocked(payload: bytes):
        gate.wait(5)
        return alb.functions.invoke("checked", payload)

    checked.set_health_check(HealthCheck(True, "/", 0.05, 5))
    checked.register(blocked)
    assert has(checked, "initial", "Elb.RegistrationInProgress", "Target registration is in progress")
    gate.set()
    until(lambda: has(checked, "healthy"))


def test_unhealthy_targets_still_get_requests(alb):
    """Without any healthy target, the load balancer fails open."""
    alb.group.set_in_use(True)
    alb.group.set_health_check(HealthCheck(True, "/raise", 0.05, 5, unhealthy_threshold=2))
    until(lambda: alb.group.health().state == "unhealthy")
    assert curl(alb.url()).status == 200
    alb.group.set_in_use(False)

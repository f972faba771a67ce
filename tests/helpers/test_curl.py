"""The real curl against real servers on 127.0.0.1: results, and what is shown."""

import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing

import pytest

from helpers import curl, pki
from helpers.base.errors import PrerequisiteError, ToolMissingError, TutorialError
from tests import web

PAGE = "<p>Grüße</p>\n"
HOST = "lambda.external"


class Page(web.Handler):
    """A page at every path but two; a response header returns the traceparent that was sent."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/moved":
            return self.answer(302, Location="/")
        if self.path == "/binary":
            return self.answer(200, b"\xff\x00curl-says:\r\n\r\n")
        return self.answer(200, PAGE.encode(), Traceparent=self.headers.get("traceparent", "none"))


class Closing(Page):
    protocol_version = "HTTP/1.0"


@pytest.fixture
def http() -> Iterator[str]:
    with web.serving(web.on_loopback(Page)) as server:
        yield f"http://127.0.0.1:{server.server_port}"


@pytest.fixture
def mtls() -> Iterator[tuple[int, pki.Certificates]]:
    """A server that requires a client certificate of the mTLS CA."""
    files = pki.ensure()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.server_cert, files.server_key)
    context.load_verify_locations(files.mtls_ca)
    context.verify_mode = ssl.CERT_REQUIRED
    with web.serving(web.on_loopback(Page), context) as server:
        yield server.server_port, files


@pytest.fixture
def full() -> Iterator[int]:
    """A port whose accept queue is full: it drops further connections, as a missing route does."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=0)) as server:
        waiting = []
        for _ in range(8):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(server.getsockname())
            waiting.append(client)
        yield server.getsockname()[1]
        for client in waiting:
            client.close()


def test_result_has_status_headers_and_the_exact_body(http):
    answer = curl.outside(f"{http}/hello")
    assert (answer.exit_code, answer.status, answer.http_version, answer.ok) == (0, 200, "1.1", True)
    assert answer.headers["content-length"] == str(len(PAGE.encode()))
    assert answer.body == PAGE
    assert answer.remote == http.removeprefix("http://")


def test_shown_as_in_a_terminal(http, capsys):
    curl.outside(f"{http}/")
    assert capsys.readouterr().out == f"curl --connect-timeout 3 {http}/\n{PAGE}"
    curl.outside("-i", f"{http}/")
    shown = capsys.readouterr().out
    assert shown.startswith(f"curl --connect-timeout 3 -i {http}/\nHTTP/1.1 200 OK\nServer:")
    assert shown.endswith(f"\n\n{PAGE}")
    curl.outside("-v", f"{http}/")
    assert "> GET / HTTP/1.1\n" in capsys.readouterr().out


def test_a_followed_redirect_ends_at_the_last_response(http):
    answer = curl.outside("-L", f"{http}/moved")
    assert (answer.status, answer.body, "location" in answer.headers) == (200, PAGE, False)


def test_error_status_is_a_response_but_not_ok(http):
    answer = curl.outside(f"{http}/moved")
    assert (answer.exit_code, answer.status, answer.ok) == (0, 302, False)


def test_binary_body_is_handled(http):
    answer = curl.outside(f"{http}/binary")
    assert answer.status == 200
    assert answer.body.endswith("curl-says:\r\n\r\n")


def test_traceparent_is_new_valid_and_sent(http):
    one, two = curl.traceparent(), curl.traceparent()
    assert one != two
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", one)
    assert curl.outside("-H", f"traceparent: {one}", http).headers["traceparent"] == one


def test_refused_connection_is_a_result(capsys):
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    answer = curl.outside(f"http://127.0.0.1:{port}/")
    assert (answer.exit_code, answer.status, answer.ok, answer.headers) == (7, 0, False, {})
    assert "curl: (7) " in capsys.readouterr().out


def test_timeout_is_exit_code_28_and_names_the_url(full, monkeypatch, capsys):
    monkeypatch.setenv("TUTORIAL_CONNECT_TIMEOUT", "0.3")
    answer = curl.outside("-v", f"http://127.0.0.1:{full}/")
    assert (answer.exit_code, answer.trying) == (28, ["127.0.0.1"])
    shown = capsys.readouterr().out
    assert (
        f"curl --connect-timeout 0.3 -v http://127.0.0.1:{full}/\n*   Trying 127.0.0.1:{full}...\n" in shown
    )
    assert "curl: (28) " in shown


def test_any_failure_to_reach_a_private_address_is_unreachable(full, mtls, monkeypatch):
    """From outside, 01's load balancer times out (28), another host responds (7, 60), or DNS fails (6)."""
    monkeypatch.setenv("TUTORIAL_CONNECT_TIMEOUT", "0.3")
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    silent, refusing = (curl.outside("-v", f"http://127.0.0.1:{each}/") for each in (full, port))
    other = call_mtls(*mtls)
    assert [each.exit_code for each in (silent, refusing, other)] == [28, 7, 60]
    assert [each.strayed for each in (silent, refusing, other)] == [False, True, True]
    assert all(each.unreachable for each in (silent, refusing, other, curl.CurlResult(6)))


def test_a_response_a_public_address_and_a_usage_error_do_not_prove_unreachable(http, mtls):
    answered, mistaken = curl.outside(f"{http}/moved"), call_mtls(*mtls, "--cert", "/none")
    public = curl.CurlResult(28, verbose="*   Trying 93.184.215.14:443...\n")
    assert not any(each.unreachable for each in (answered, mistaken, public))


def call_mtls(port: int, files: pki.Certificates, *args, host: str = HOST) -> curl.CurlResult:
    return curl.outside(*curl.resolve(host, port, "127.0.0.1"), *args, f"https://{host}:{port}/")


def test_client_with_certificate_is_accepted(mtls):
    port, files = mtls
    ours = ("--cacert", files.mtls_ca, "--cert", files.client_cert, "--key", files.client_key)
    assert call_mtls(port, files, *ours).status == 200


def test_client_without_certificate_or_with_a_strangers_is_rejected(mtls):
    port, files = mtls
    trust = ("--cacert", files.mtls_ca)
    stranger = ("--cert", files.stranger_cert, "--key", files.stranger_key)
    for more in ((), stranger):
        answer = call_mtls(port, files, *trust, *more)
        # In TLS 1.3 the client learns of the rejection only when it first writes or reads.
        assert answer.exit_code in (35, 55, 56)
        assert (answer.status, answer.ok) == (0, False)


def test_server_is_always_verified(mtls):
    port, files = mtls
    ours = ("--cert", files.client_cert, "--key", files.client_key)
    assert call_mtls(port, files, *ours).exit_code == 60
    assert call_mtls(port, files, *ours, "--cacert", files.stranger_ca).exit_code == 60
    assert call_mtls(port, files, *ours, "--cacert", files.mtls_ca, host="other.external").exit_code == 60


def test_connect_to_a_host_name_instead_of_an_address(http):
    port = int(http.rpartition(":")[2])
    answer = curl.outside(*curl.resolve(HOST, port, "localhost"), f"http://{HOST}:{port}/")
    assert answer.status == 200


@pytest.mark.parametrize(
    ("prefix", "shown"), [("env SOME=where", "curl "), ("env SOME=where nice", "nice curl ")]
)
def test_prefix_runs_curl_and_is_shown_without_variables(http, monkeypatch, capsys, prefix, shown):
    monkeypatch.setenv("TUTORIAL_INSIDE_VPC_COMMAND", prefix)
    assert curl.inside_vpc(f"{http}/").status == 200
    assert capsys.readouterr().out.startswith(shown)


def test_requests_share_a_connection_while_the_server_keeps_it_open(http, capsys):
    assert curl.on_one_connection(f"{http}/x", requests=3, interval=0.1) == [(200, 1), (200, 0), (200, 0)]
    said = capsys.readouterr().out
    assert "--rate 600/m" in said and said.endswith("\n200 1\n200 0\n200 0\n")
    with web.serving(web.on_loopback(Closing)) as server:
        url = f"http://127.0.0.1:{server.server_port}/x"
        assert curl.on_one_connection(url, requests=2, interval=0.1) == [(200, 1), (200, 1)]


def test_requests_on_one_connection_without_a_response_or_with_an_old_curl(monkeypatch):
    statuses = [
        status for status, _ in curl.on_one_connection("http://127.0.0.1:1/", requests=2, interval=0.1)
    ]
    assert statuses == [0, 0]
    with pytest.raises(TutorialError, match=r"is unknown[\s\S]*7\.84 or newer"):
        curl.on_one_connection("--no-such-option", "http://127.0.0.1:1/", requests=2, interval=0.1)


def test_inside_the_vpc_needs_a_network_unless_a_prefix_is_set(moto):
    with pytest.raises(PrerequisiteError, match="no VPC"):
        curl.inside_vpc("http://127.0.0.1/")


def test_missing_or_failing_prefix(monkeypatch):
    monkeypatch.setenv("TUTORIAL_OUTSIDE_COMMAND", "no-such-program")
    with pytest.raises(ToolMissingError, match="no-such-program"):
        curl.outside("http://127.0.0.1/")
    monkeypatch.setenv("TUTORIAL_OUTSIDE_COMMAND", "false")
    with pytest.raises(TutorialError, match="in a terminal"):
        curl.outside("http://127.0.0.1/")


def test_pod_without_a_cluster_names_the_notebook():
    with pytest.raises(PrerequisiteError, match="Run 03-deploy-istio-in-gke first"):
        curl.in_pod("gke", "sleep", "deploy/sleep", "lambda.external/hello-world")

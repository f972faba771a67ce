"""Every message on the troubleshooting page is really printed by the program beside it."""

import re
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from tests.messages import in_program, pieces, printed
from tests.test_notebook_messages import said

PROJECT = Path(__file__).parent.parent
PAGE = (PROJECT / "docs/troubleshooting.md").read_text()
ROWS = re.findall(r"^\| (.+?) \| ([\w.]+) \| .+ \|$", PAGE, re.M)
MESSAGES = [(said_by, message) for seen, said_by in ROWS for message in re.findall(r"`([^`]+)`", seen)]


def messages(*said_by):
    return [message for who, message in MESSAGES if who in said_by]


def test_the_page_has_rows_for_every_program():
    assert {who for _, who in ROWS} >= {
        "setup.sh",
        "lab",
        "helpers",
        "kubectl",
        "istioctl",
        "curl",
        "Envoy",
        "AWS",
    }
    assert len(MESSAGES) > 40


@pytest.mark.parametrize("message", messages("helpers"))
def test_helpers_print_the_message(message):
    assert printed("helpers", message) or printed("series", message)


@pytest.mark.parametrize("message", messages("lab"))
def test_the_lab_prints_the_message(message):
    assert printed("lab", message)


def test_a_message_that_nothing_prints_is_detected():
    assert not printed("helpers", "There is … not. Walk … first.")
    assert not printed("lab", "LAB_NAME must be 1 to 21 lowercase letters, digits and dashes")


@pytest.mark.parametrize("message", messages("setup.sh"))
def test_setup_prints_the_message(message):
    assert message in (PROJECT / "setup.sh").read_text()


@pytest.mark.parametrize(
    ("who", "message"), [row for row in MESSAGES if row[0] in ("AWS", "Google", "Kubernetes", "botocore")]
)
def test_the_clouds_and_kubernetes_return_the_message(who, message):
    assert said(who, message)


@pytest.mark.parametrize(
    ("program", "message"), [row for row in MESSAGES if row[0] in ("kubectl", "istioctl", "istiod", "Envoy")]
)
def test_the_program_contains_the_message(program, message):
    assert in_program(program, message)
    assert not in_program(program, "no message of any program")


class Server:
    """On 127.0.0.1, one connection: silent, closing, or TLS with an untrusted certificate."""

    def __init__(self, kind, folder):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.kind, self.folder = kind, folder
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        connection, _ = self.listener.accept()
        if self.kind == "tls":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.folder / "cert.pem", self.folder / "key.pem")
            with pytest.raises(OSError):
                context.wrap_socket(connection, server_side=True)
        else:
            connection.recv(1000)
        if self.kind == "silent":
            self.listener.accept()  # which never happens: the connection stays open
        connection.close()


@pytest.fixture
def certificate(tmp_path):
    request = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2")
    out = ("-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem"))
    subprocess.run(["openssl", *request, *out], check=True, capture_output=True)
    return tmp_path


def curl(*arguments, prefix=()):
    done = subprocess.run([*prefix, "curl", "-sS", "-m", "2", *arguments], capture_output=True, text=True)
    return done.stderr


def test_curl_prints_the_message(certificate):
    port = {kind: Server(kind, certificate).port for kind in ("silent", "closing", "tls")}
    heard = [
        curl("http://no-such-host.invalid", prefix=("unshare", "--net")),
        curl("http://127.0.0.1:1"),
        curl(f"http://127.0.0.1:{port['silent']}"),
        curl(f"http://127.0.0.1:{port['closing']}"),
        curl(f"https://127.0.0.1:{port['tls']}"),
    ]
    alerts = [message for message in messages("curl") if "alert" in message]
    for message in messages("curl"):
        if message not in alerts:
            assert any(all(piece in text for piece in pieces(message)) for text in heard), message
    # Which alert is sent when is tested in notebook 04; here, only that these are OpenSSL's words.
    assert [message for message in alerts if not in_program("curl", pieces(message)[1])] == []

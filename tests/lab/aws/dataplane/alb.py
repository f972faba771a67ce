"""Shared by tests of functions and load balancers: a configurable function, certificates, curl, a gate."""

import contextlib
import dataclasses
import datetime
import functools
import io
import json
import os
import socket
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from helpers.aws import alb_log
from lab import cgroups
from lab.aws.dataplane.functions import FunctionService, FunctionVersion
from lab.aws.dataplane.load_balancer import Balancer, Certificate, TargetGroup
from tests.lab.aws.dataplane.functions import place

HOST = "alb.example.com"
GROUP_ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/t/0123456789abcdef"
ADDRESSES = ["127.0.0.1", "127.0.0.2"]

# By path: the event itself (its method also in a header, for HEAD); the body's size; the response in the
# body; or a failure.
SOURCE = """
import base64, json, os, socket, time
count = 0
def handler(event, context):
    global count
    count += 1
    path = event["path"]
    if path == "/answer":
        return json.loads(event["body"])
    if path == "/size":
        body = base64.b64decode(event["body"]) if event["isBase64Encoded"] else event["body"]
        return {"statusCode": 200, "body": str(len(body))}
    if path == "/large":
        size = int(event["queryStringParameters"]["json"]) - len(json.dumps({"statusCode": 200, "body": ""}))
        return {"statusCode": 200, "body": "x" * size}
    if path == "/raise":
        raise RuntimeError("as told")
    if path == "/exit":
        os._exit(1)
    if path == "/memory":
        return len(b"x" * 300_000_000)
    if path == "/sleep":
        time.sleep(60)
    if path == "/wait":
        with socket.create_connection(("127.0.0.1", int(event["queryStringParameters"]["port"]))) as gate:
            gate.recv(1)
    if path == "/count":
        return {"statusCode": 200, "body": f"{os.getpid()} {count}"}
    return {"statusCode": 200, "statusDescription": "200 As You Wish", "body": json.dumps(event),
            "headers": {"Content-Type": "application/json", "X-Method": event["httpMethod"]}}
"""


def function(name: str, source: str = SOURCE, **values) -> FunctionVersion:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", source)
    arn = f"arn:aws:lambda:us-east-1:123456789012:function:{name}"
    defaults = {"handler": "app.handler", "log": lambda *_: None, "timeout": 20}
    return FunctionVersion(name, arn, buffer.getvalue(), **(defaults | values))


@dataclasses.dataclass
class Answer:
    """curl's result: the status line, headers in lower case (the last value of each), the body."""

    version: str
    status: int
    reason: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict:
        return json.loads(self.body)


def run_curl(*arguments: str, body: bytes | None = None) -> subprocess.CompletedProcess:
    command = ["curl", "--silent", "--show-error", "--max-time", "20", "--noproxy", "*", *arguments]
    if body is not None:
        command += ["--data-binary", "@-"]
    return subprocess.run(command, input=body, capture_output=True)


def curl(*arguments: str, body: bytes | None = None) -> Answer:
    done = run_curl("--include", *arguments, body=body)
    assert done.returncode == 0, done.stderr.decode()
    rest = done.stdout
    while True:
        head, _, rest = rest.partition(b"\r\n\r\n")
        lines = head.decode(errors="surrogateescape").split("\r\n")
        version, status, *reason = lines[0].split(" ", 2)
        if status != "100":
            break
    headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    headers = {name.lower(): value for name, value in headers.items()}
    return Answer(version, int(status), "".join(reason), headers, rest)


@contextlib.contextmanager
def namespace(address: str = "10.0.1.186") -> Iterator[Path]:
    """A network namespace with an address; it exists as long as a process in it."""
    script = f"ip link set lo up && ip address add {address}/32 dev lo && echo up && exec sleep 60"
    with subprocess.Popen(["unshare", "--net", "sh", "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"up\n"
        try:
            yield Path(f"/proc/{process.pid}/ns/net")
        finally:
            process.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class ExampleCa:
    """A root CA and an intermediate CA; the latter signs leaf certificates."""

    def __init__(self, name: str) -> None:
        root_key, self._key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        self._name = f"{name} intermediate"
        root = _certificate(name, root_key, name, root_key, ca=True)
        self._intermediate = _certificate(self._name, self._key, name, root_key, ca=True)
        self.root = _pem(root)

    def leaf(self, name: str = HOST) -> Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = _certificate(name, key, self._name, self._key, ca=False)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        arn = f"arn:aws:acm:us-east-1:123456789012:certificate/{name}"
        return Certificate(arn, _pem(leaf), private.decode(), _pem(self._intermediate))


def _certificate(subject: str, key, issuer: str, issuer_key, ca: bool) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if not ca:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(subject)]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def leftover_keys() -> list[Path]:
    """Private keys of listeners that are still on disk."""
    return list(Path(tempfile.gettempdir()).glob("lab-alb-*"))


class Alb:
    """A load balancer with an HTTP and an HTTPS listener that forward to one function."""

    def __init__(self, directory: Path, cgroup: str) -> None:
        self.functions = FunctionService(place(directory / "functions", cgroup=cgroup))
        self.functions.deploy(function("f", timeout=3))
        self.group = TargetGroup(GROUP_ARN)
        self.lines: list[str] = []  # of the access log
        self.drop_invalid_headers = False
        self.balancer = Balancer(
            "app/lb/50dc",
            ADDRESSES,
            log=lambda _address, line: self.lines.append(line),
            drop_invalid_headers=lambda: self.drop_invalid_headers,
        )
        self.http, self.https = free_port(), free_port()
        self.authority = ExampleCa("test")
        self.root = directory / "root.pem"
        self.root.write_text(self.authority.root)
        self.certificate = self.authority.leaf()

    def reset(self) -> None:
        self.group.register(functools.partial(self.functions.invoke, "f"))
        self.group.multi_value_headers = False
        self.drop_invalid_headers = False
        self.balancer.set_listener(self.http, "HTTP", self.group)
        self.balancer.set_listener(self.https, "HTTPS", self.group, lambda: self.certificate)
        self.lines.clear()

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.http}{path}"

    def tls(self, path: str = "/", address: str = "127.0.0.1") -> list[str]:
        """curl's arguments for the HTTPS listener; its certificate is verified."""
        resolve = f"{HOST}:{self.https}:{address}"
        return ["--cacert", str(self.root), "--resolve", resolve, f"https://{HOST}:{self.https}{path}"]

    @property
    def records(self) -> list[alb_log.Entry]:
        """The access log, parsed by the helpers."""
        return [alb_log.parse(line) for line in self.lines]

    def record(self) -> alb_log.Entry:
        """The log entry of the only request."""
        (record,) = self.records
        return record

    def close(self) -> None:
        self.balancer.close()
        self.group.close()
        self.functions.close()


def run_alb(directory: Path) -> Iterator[Alb]:
    """A load balancer with a function, for the duration of the tests."""
    cgroup = f"istio-lab-pytest-{os.getpid()}"
    alb = Alb(directory, cgroup)
    yield alb
    alb.close()
    cgroups.remove(cgroup)


class Gate:
    """Blocks functions until they are released, so that concurrency does not depend on timing."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(10)
        self._waiting: list[socket.socket] = []
        self.port = self._listening.getsockname()[1]
        self.environment = {"GATE": str(self.port)}

    def wait_for(self, count: int) -> None:
        """Return once `count` functions are blocked."""
        while len(self._waiting) < count:
            self._waiting.append(self._listening.accept()[0])

    def open(self) -> None:
        for one in self._waiting:
            one.close()
        self._waiting = []


def until(true: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def versions(test):
    """Over HTTP/1.1 in the clear and HTTP/2 with TLS."""
    return pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2"])(test)


def ask(alb: Alb, version: str, path: str = "/", *arguments: str, body: bytes | None = None) -> Answer:
    if version == "HTTP/1.1":
        answer = curl(*arguments, alb.url(path), body=body)
    else:
        answer = curl("--http2", *arguments, *alb.tls(path), body=body)
    assert answer.version == version
    return answer

"""A real etcd and kube-apiserver on 127.0.0.1, without nodes: just enough for `kubectl apply`."""

import base64
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from helpers.base.settings import current

TOKEN = "a-token-for-this-test"
LIMIT = 60  # seconds; it takes about three


@contextmanager
def running(programs: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """Start both; yields the server's URL and its CA certificate in base64."""
    etcd, peer, secure = _free_port(), _free_port(), _free_port()
    (folder / "tokens.csv").write_text(f"{TOKEN},tester,1,system:masters\n")
    subprocess.run(
        ["openssl", "genrsa", "-out", "service-accounts.key", "2048"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    url = f"http://127.0.0.1:{etcd}"
    stores = [
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
    ]
    serves = [
        f"--etcd-servers={url}",
        "--bind-address=127.0.0.1",
        f"--secure-port={secure}",
        f"--cert-dir={folder}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        f"--service-account-key-file={folder / 'service-accounts.key'}",
        f"--service-account-signing-key-file={folder / 'service-accounts.key'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.96.0.0/24",
        "--authorization-mode=RBAC",
        "--disable-admission-plugins=ServiceAccount",
    ]
    listens = [f"--listen-peer-urls=http://127.0.0.1:{peer}", "--unsafe-no-fsync"]
    with ExitStack() as stack:
        stack.enter_context(process([programs / "etcd", *stores, *listens], folder / "etcd.log"))
        stack.enter_context(process([programs / "kube-apiserver", *serves], folder / "kube-apiserver.log"))
        ca = folder / "apiserver.crt"  # self-signed; the API server generates it
        _until_ready(f"https://127.0.0.1:{secure}/readyz", ca, folder / "kube-apiserver.log")
        yield f"https://127.0.0.1:{secure}", base64.b64encode(ca.read_bytes()).decode()


def kubectl(*words: str) -> subprocess.CompletedProcess[str]:
    """Runs kubectl as a reader would, with the context of the fixture `cluster`."""
    argv = ["kubectl", "--context", "eks", *words]
    return subprocess.run(argv, env=current().environment(), capture_output=True, text=True)


@contextmanager
def process(argv: list, log: Path) -> Iterator[None]:
    """A program that runs while the block does."""
    with log.open("w") as output:
        process = subprocess.Popen([str(word) for word in argv], stdout=output, stderr=output)
        try:
            yield
        finally:
            os.kill(process.pid, signal.SIGKILL)  # its data belongs to this test only
            process.wait()


def _until_ready(url: str, ca: Path, log: Path) -> None:
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        words = ["curl", "-sf", "--cacert", str(ca), "-H", f"Authorization: Bearer {TOKEN}", url]
        if subprocess.run(words, capture_output=True).returncode == 0:
            return
        time.sleep(0.2)
    raise AssertionError(log.read_text()[-2000:])


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return server.getsockname()[1]

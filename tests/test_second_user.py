"""Another user on the machine of a running lab: they cannot use it, and its owner can."""

import base64
import json
import os
import re
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import boto3
import pytest
import requests
from botocore.exceptions import ClientError
from google.auth import jwt
from google.auth.crypt import RSASigner
from google.oauth2 import service_account

from helpers.base.settings import override
from helpers.clusters import tokens
from lab import cgroups, cli, control, lifecycle
from lab.gcp.api.oauth import CLOUD_PLATFORM, ServiceAccount
from lab.settings import Lab
from tests.conftest import PROJECT, run

STRANGER = 54321  # an unassigned user id
# The secret that all labs once had; AWS's example; one like another lab's.
GUESSES = ["lab-secret-access-key", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", secrets.token_urlsafe(30)]


def as_stranger(action: Callable[[], object]) -> str:
    """The output, result or exception of a process of another user.

    The process is a fork, as that user may not be able to read this Python's folder.
    """
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(theirs, 1)
        os.dup2(theirs, 2)
        sys.stdout = sys.stderr = os.fdopen(1, "w")
        os.setgroups([])
        os.setgid(STRANGER)
        os.setuid(STRANGER)
        try:
            print(action())
        except BaseException as refused:
            print(repr(refused), refused)
        sys.stdout.flush()
        os._exit(0)
    os.close(theirs)
    with open(ours) as said:
        answer = said.read()
    os.waitpid(child, 0)
    return answer


@pytest.fixture(scope="module")
def lab(meshes: dict[str, str]) -> Lab:
    return Lab(name=meshes["LAB_NAME"])


@pytest.fixture(scope="module")
def endpoints(meshes: dict[str, str]) -> dict[str, str]:
    """Both clouds' APIs and both clusters' API servers."""
    kubeconfig = Path(meshes["KUBECONFIG"]).read_text()
    return {
        "aws": meshes["AWS_ENDPOINT_URL"],
        "gcp": meshes["CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER"].rstrip("/"),
    } | dict(zip(("eks", "gke"), re.findall(r"server: (\S+)", kubeconfig), strict=True))


def sts(meshes: dict[str, str], key: str, secret: str):
    session = boto3.Session(key, secret, region_name=meshes["AWS_REGION"])
    return session.client("sts", endpoint_url=meshes["AWS_ENDPOINT_URL"])


def test_aws_requires_the_labs_own_key(meshes):
    key = meshes["AWS_ACCESS_KEY_ID"]
    assert sts(meshes, key, meshes["AWS_SECRET_ACCESS_KEY"]).get_caller_identity()["Arn"].endswith("user/lab")
    for guess in GUESSES:
        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            sts(meshes, key, guess).get_caller_identity()


def test_eks_requires_a_token_signed_with_the_labs_own_key(meshes, endpoints, monkeypatch):
    monkeypatch.setenv("TUTORIAL_SETTINGS", meshes["TUTORIAL_SETTINGS"])

    def status(secret: str) -> int:
        with override(AWS_SECRET_ACCESS_KEY=secret):
            headers = {"Authorization": f"Bearer {tokens.eks()[0]}"}
        url = f"{endpoints['eks']}/api/v1/secrets"
        return requests.get(url, headers=headers, verify=False).status_code

    assert status(meshes["AWS_SECRET_ACCESS_KEY"]) == 200
    assert {status(guess) for guess in GUESSES} == {401}


def test_google_requires_the_labs_own_account(meshes, endpoints, tmp_path):
    own = json.loads(Path(meshes["GOOGLE_APPLICATION_CREDENTIALS"]).read_text())
    ServiceAccount(own["project_id"]).write_credentials(tmp_path / "key", own["token_uri"], (0, 0))
    made_up = own | {"private_key": json.loads((tmp_path / "key").read_text())["private_key"]}
    clusters = f"{endpoints['gcp']}/v1/projects/lab-project/locations/-/clusters"
    pods = f"{endpoints['gke']}/api/v1/secrets"

    def answers(account: dict[str, str]) -> list[int]:
        """The responses of the token endpoint, and of both APIs to a self-signed token."""
        credentials = service_account.Credentials.from_service_account_info(account, scopes=[CLOUD_PLATFORM])
        assertion = credentials._make_authorization_grant_assertion()
        grant = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
        answer = requests.post(account["token_uri"], data=grant)
        signer = RSASigner.from_service_account_info(account)
        now = int(jwt._helpers.utcnow().timestamp())
        claims = {"iss": own["client_email"], "sub": own["client_email"], "iat": now, "exp": now + 60}
        signed = jwt.encode(signer, claims | {"scope": CLOUD_PLATFORM}).decode()
        headers = {"Authorization": f"Bearer {answer.json().get('access_token', signed)}"}
        both = [requests.get(url, headers=headers, verify=False).status_code for url in (clusters, pods)]
        return [answer.status_code, *both]

    assert answers(own) == [200, 200, 200]
    assert answers(made_up) == [400, 401, 401]


def test_nothing_else_listens_and_everything_requires_credentials(lab, endpoints):
    """A loopback port does not know who connects."""
    processes = set(cgroups.processes(lab.cgroup))
    listening = {
        line.split()[4]
        for line in run(dict(os.environ), "ss", "-H", "-tulnp").splitlines()
        if processes & set(map(int, re.findall(r"pid=(\d+)", line)))
    }
    assert listening == {url.rpartition("/")[2] for url in endpoints.values()}
    paths = ["", "moto-api/", "moto-api/data.json", "metrics", "debug/pprof/", "logs/", "openapi/v2"]
    paths += ["api/v1/secrets", "api/v1/nodes/x/proxy/pods", "v1/projects/lab-project/locations/-/clusters"]
    for url in endpoints.values():
        for path in paths:
            for method in ("GET", "POST", "DELETE"):
                answer = requests.request(method, f"{url}/{path}", verify=False)
                assert answer.status_code in (400, 401, 403, 404, 501), (url, path, answer.text)


def test_only_the_owner_can_open_the_control_socket(lab):
    assert lifecycle.running(lab)
    assert (control.path(lab.run).stat().st_mode & 0o777, control.owner(lab.run)) == (0o600, os.getuid())
    for request in ({"command": "values"}, {"command": "exec", "network": "vpc", "argv": ["id"]}):
        said = as_stranger(lambda request=request: control.ask(lab.run, request))
        assert "it is up and belongs to" in said and "SECRET" not in said


def connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True


def test_no_socket_of_the_labs_processes_accepts_other_users(lab):
    found = [path for folder in (lab.run, lab.data) for path in folder.rglob("*") if path.is_socket()]
    nodes = [path for path in found if path.name == "containerd.sock"]
    assert len(nodes) == 2 and all(connects(path) for path in nodes)
    assert as_stranger(lambda: [path for path in found if connects(path)]).strip() == "[]"
    names = Path("/proc/net/unix").read_text().split()
    assert not [name for name in names if name.startswith("@") and "containerd" in name]


def walked(folder: Path) -> list[str]:
    """All files below it that can be opened."""
    files = [Path(place, name) for place, _, names in os.walk(folder) for name in names]
    return [str(file) for file in files if file.is_file() and os.access(file, os.R_OK)]


def test_other_users_cannot_read_the_labs_data(lab):
    assert any(name.endswith("kube-apiserver.log") for name in walked(lab.data))
    assert as_stranger(lambda: walked(lab.data)).strip() == "[]"
    # They see only which resolver a network has; entering a namespace requires root.
    readable = json.loads(as_stranger(lambda: json.dumps(walked(lab.run))))
    assert {Path(name).relative_to(lab.run).parts[0] for name in readable} <= {"etc", "net"}


def secrets_in(meshes: dict[str, str]) -> Iterator[bytes]:
    yield meshes["AWS_SECRET_ACCESS_KEY"].encode()
    for form in ("RSA PRIVATE KEY", "EC PRIVATE KEY", "PRIVATE KEY"):
        mark = f"-----BEGIN {form}-----".encode()
        yield mark
        yield base64.b64encode(mark)[:24]  # as in a Secret's manifest


def test_only_the_owner_can_read_files_with_secrets(meshes, lab):
    settings = Path(meshes["TUTORIAL_SETTINGS"])
    files = [settings, Path(meshes["GOOGLE_APPLICATION_CREDENTIALS"]), Path(meshes["KUBECONFIG"])]
    files += [path for path in (PROJECT / "build" / lab.name).rglob("*") if path.is_file()]
    private = {path for path in files if any(word in path.read_bytes() for word in secrets_in(meshes))}
    assert {settings, Path(meshes["GOOGLE_APPLICATION_CREDENTIALS"])} < private
    assert [path.name for path in private if path.suffix == ".key"], "the tutorial's certificates have keys"
    private.add(Path(meshes["KUBECONFIG"]))
    for path in private:
        assert (path.stat().st_mode & 0o777, path.stat().st_uid) == (0o600, os.getuid()), path


@pytest.mark.parametrize("command", [["down"], ["up"], ["exec", "vpc", "--", "id"], ["env"], ["status"]])
def test_commands_of_other_users_have_no_effect(lab, command):
    """They are not in the sudoers file, like ordinary users."""
    first = cgroups.processes(f"{lab.cgroup}/daemon")

    def enter(words: list[str]) -> None:
        with patch.dict(os.environ, {"LAB_NAME": lab.name}), patch.object(sys, "argv", ["lab", *words]):
            cli.main()

    with suppress(SystemExit):
        enter(["status"])  # imports what the other user may not be able to read
    said = as_stranger(lambda: enter(command))
    assert "SystemExit(1)" in said and "SECRET" not in said and "uid=" not in said, said
    assert cgroups.processes(f"{lab.cgroup}/daemon") == first
    assert lifecycle.running(lab)


def test_command_lines_contain_no_secrets(meshes, lab):
    """Every user of a machine can read every process's command line."""
    for pid in cgroups.processes(lab.cgroup):
        words = subprocess.run(["cat", f"/proc/{pid}/cmdline"], capture_output=True).stdout
        assert not [word for word in secrets_in(meshes) if word in words], words

"""What SDKs and programs get from the reader's shell and home directory, in the lab and on real accounts."""

import json
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import curl
from helpers.base import command, environment
from helpers.base.settings import ROOT, current
from tests import messy, web

KEYS = {"AWS_ACCESS_KEY_ID": "EXAMPLE", "AWS_SECRET_ACCESS_KEY": "example"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return messy.home(tmp_path / "home")


@pytest.fixture
def shell(home: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """This process's environment is the misleading one."""
    variables = messy.shell(home)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


def settings_file(folder: Path, **values: str) -> str:
    file = folder / "settings.toml"
    file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items()))
    return str(file)


def in_a_messy_shell(home: Path, code: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run code with a settings file of these values, in its own process."""
    file = settings_file(home.parent, KUBECONFIG=str(home.parent / "kubeconfig"), **settings)
    env = messy.shell(home) | {"TUTORIAL_SETTINGS": file, "PATH": os.environ["PATH"]}
    return subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True)


def test_a_misleading_shell_redirects_boto3_but_not_helpers(moto_url, home):
    before = messy.files(home)
    ask = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    assert "somebody-elses" in in_a_messy_shell(home, ask).stderr
    ours = {"AWS_ENDPOINT_URL": moto_url, "AWS_REGION": "us-east-1", **KEYS}
    asked = "from helpers import aws; aws.call('ec2', 'describe_vpcs'); print(aws.account_id())"
    done = in_a_messy_shell(home, asked, **ours)
    assert done.stdout.strip() == "123456789012", done.stderr
    bucket = "from helpers import aws; aws.call('s3', 'create_bucket', Bucket='messy'); print('made')"
    done = in_a_messy_shell(home, bucket, **ours)
    assert done.stdout == "made\n", done.stderr
    assert messy.files(home) == before


def test_the_aws_cli_uses_the_endpoint_in_the_settings(moto_url, home):
    ask = "from helpers.base import command; print(command.run(['aws', 'sts', 'get-caller-identity']).text)"
    done = in_a_messy_shell(home, ask, AWS_ENDPOINT_URL=moto_url, **KEYS)
    assert "123456789012" in done.stdout, done.stderr


def test_default_netrc_credentials_are_not_sent(tmp_path, home):
    """requests prefers those in ~/.netrc to the header that Google's client has set."""
    seen: list[str] = []

    class Server(web.Handler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("Authorization", ""))
            self.answer(200)

    with web.serving(web.on_loopback(Server)) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        get = f"requests.get('{url}', headers={{'Authorization': 'Bearer ours'}})"
        in_a_messy_shell(home, f"import os, requests; os.environ['no_proxy'] = '127.0.0.1'; {get}")
        in_a_messy_shell(home, f"import requests; from helpers import settings; settings.current(); {get}")
    assert [words.partition(" ")[0] for words in seen] == ["Basic", "Bearer"]


def test_programs_get_a_minimal_environment(monkeypatch, shell, tmp_path):
    ours = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", **KEYS}
    ours |= {"CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER": "http://127.0.0.1:2/"}
    ours |= {"CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE": "http://127.0.0.1:2/compute/v1/"}
    ours |= {"GOOGLE_APPLICATION_CREDENTIALS": "/key.json", "GOOGLE_CLOUD_PROJECT": "lab-project"}
    ours |= {"KUBECONFIG": "/tmp/kubeconfig", "AWS_REGION": "us-east-1"}
    monkeypatch.setenv("TUTORIAL_SETTINGS", settings_file(tmp_path, **ours))
    given = current().environment()
    assert given.items() >= ours.items()
    clouds = {name for name in given if name.startswith(("AWS_", "GOOGLE_", "CLOUDSDK_", "GCE_", "BOTO"))}
    own = {"AWS_DEFAULT_REGION", "AWS_PAGER", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"}
    assert clouds == {name for name in ours if name != "KUBECONFIG"} | own
    assert not given.keys() & {
        "LANG",
        "TZ",
        "COLUMNS",
        "FORCE_COLOR",
        "HOSTALIASES",
        "RES_OPTIONS",
        "GIT_DIR",
    }
    assert not given.keys() & {"CURL_CA_BUNDLE", "SSLKEYLOGFILE", "ISTIOCTL_ISTIONAMESPACE", "ZONE", "STATE"}
    assert given["HOME"] == shell["HOME"]


def test_on_real_accounts_the_shells_credentials_and_proxy_are_used_except_for_localhost(monkeypatch, shell):
    for name in ("AWS_ENDPOINT_URL", *KEYS):
        monkeypatch.delenv(name)
    given = current().environment()
    for name in (
        "AWS_PROFILE",
        "AWS_CA_BUNDLE",
        "AWS_USE_FIPS_ENDPOINT",
        "HTTPS_PROXY",
        "REQUESTS_CA_BUNDLE",
    ):
        assert given[name] == os.environ[name] == shell[name]
    assert "127.0.0.1" in given["NO_PROXY"].split(",") and given["NO_PROXY"] == given["no_proxy"]


def test_keys_in_the_file_override_profiles_and_session_tokens(monkeypatch, shell, tmp_path):
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("TUTORIAL_SETTINGS", settings_file(tmp_path, **KEYS))
    given = current().environment()
    assert given.items() >= KEYS.items()
    assert current().AWS_SESSION_TOKEN is None
    assert not given.keys() & {"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN"}
    assert given["AWS_CA_BUNDLE"] == shell["AWS_CA_BUNDLE"]


def test_the_readers_no_proxy_is_kept(monkeypatch):
    monkeypatch.delenv("no_proxy", raising=False)  # which would take precedence
    monkeypatch.setenv("NO_PROXY", "intranet.example,127.0.0.1")
    hosts = current().environment()["no_proxy"].split(",")
    assert hosts[0] == "intranet.example" and hosts.count("127.0.0.1") == 1


@pytest.fixture
def https(tmp_path: Path) -> Iterator[str]:
    """A server with an untrusted certificate."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -days 1"
    argv = ["openssl", *words.split(), "-keyout", str(key), "-out", str(cert)]
    subprocess.run(argv, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with web.serving(web.on_loopback(web.Handler), context) as server:
        yield f"https://127.0.0.1:{server.server_port}/"


def test_an_insecure_curlrc_has_no_effect(https, tmp_path, monkeypatch):
    (tmp_path / ".curlrc").write_text("insecure\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    plain = subprocess.run(["curl", "-s", https], env=os.environ, capture_output=True)
    assert plain.returncode == 0
    assert curl.outside(https).exit_code == 60


def test_a_proxys_password_is_not_shown(https, monkeypatch, capsys):
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@127.0.0.1:9")
    curl.outside("-v", https.replace("127.0.0.1", "elsewhere.example"))
    shown = capsys.readouterr().out
    assert "Trying 127.0.0.1:9" in shown and "secret" not in shown


def test_only_restores_the_environment():
    before = dict(os.environ)
    with environment.only({"PATH": "/nowhere"}):
        assert dict(os.environ) == {"PATH": "/nowhere"} and shutil.which("sh") is None
    assert dict(os.environ) == before


def test_a_program_can_have_its_own_home(tmp_path):
    assert command.run(["sh", "-c", "echo $HOME"], home=tmp_path).text.strip() == str(tmp_path)
    assert command.run(["sh", "-c", "echo $HOME"]).text.strip() == os.environ["HOME"]

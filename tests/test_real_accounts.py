"""What a reader with accounts runs, against a lab instead of accounts: helpers see no difference."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest

from helpers import eks, function, istio
from helpers.base.settings import Settings
from helpers.base.waiting import wait_until
from series.preflight import __main__ as preflight
from tests import registry
from tests.conftest import NAME, PROJECT, fresh_lab, run

LIMIT = 180  # seconds, for any wait
KEEP = ("PATH", "HOME", "LANG", "XDG_CACHE_HOME")


class Account:
    """The two clouds of a lab, and settings files for them as a reader would write them."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.lab = environment
        self.written = Path(environment["TUTORIAL_SETTINGS"]).read_text()
        keys = environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]
        self.session = boto3.Session(*keys, region_name="us-east-1")

    def client(self, service: str):
        return self.session.client(service, endpoint_url=self.lab["AWS_ENDPOINT_URL"])

    def settings(self, file: Path, **changed: str | None) -> Path:
        """The lab's file with some values changed, or removed where they are None."""
        lines = [line for line in self.written.splitlines()[1:] if line.split(" = ")[0] not in changed]
        lines += [f'{name} = "{value}"' for name, value in changed.items() if value is not None]
        file.write_text("\n".join(lines) + "\n")
        return file


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with fresh_lab(f"{NAME[:15]}-real") as environment:
        yield Account(environment)


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    """A registry that has Istio's images; no real one is contacted."""
    with registry.running() as running:
        running.images = {f"istio/{name}:1.30.5" for name in ("pilot", "proxyv2")} | {"curl:8"}
        yield running.host


@pytest.fixture
def settings(
    account: Account, hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """Set the settings of this test; nothing of the machine's or the lab's own is in the environment."""
    for name in [*Settings.model_fields, "TUTORIAL_YES"]:
        monkeypatch.delenv(name, raising=False)

    def choose(**changed: str | None) -> Path:
        images = {"HUB": f"{hub}/istio", "TAG": "1.30.5"}
        ours = {f"TUTORIAL_ISTIO_{name}": value for name, value in images.items()}
        ours |= {
            "TUTORIAL_CURL_IMAGE": f"{hub}/curl:8",
            "TUTORIAL_TOOLS_IMAGE": f"{hub}/curl:8",
            "TUTORIAL_BUILD_DIR": str(tmp_path / "build"),
        }
        file = account.settings(tmp_path / "cloud.toml", **(ours | changed))
        monkeypatch.setenv("TUTORIAL_SETTINGS", str(file))
        return file

    choose()
    return choose


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str | int | None]:
    """Run preflight with an answer to its question: its exit status, None for "continue"."""

    def ask(answer: str) -> str | int | None:
        monkeypatch.setattr("builtins.input", lambda _: answer)
        try:
            preflight.main()
        except SystemExit as ended:
            return ended.code
        return None

    return ask


def vpcs(account: Account) -> int:
    return len(account.client("ec2").describe_vpcs()["Vpcs"])


@pytest.mark.parametrize(("answer", "goes_on"), [("y", True), ("yes", True), ("n", False), ("", False)])
def test_preflight_shows_what_it_would_create_and_asks(account, settings, asked, capsys, answer, goes_on):
    before = vpcs(account)
    ended = asked(answer)
    said = capsys.readouterr().out
    assert ended == (None if goes_on else "Nothing was created.")
    for line in (
        "istio/proxyv2:1.30.5: 127.0.0.1:",
        "✓ AWS: account 123456789012, as arn:aws:iam::123456789012:user/lab",
        f"✓ EKS with Kubernetes {eks.VERSION}: in standard support until 2027-",
        "✓ quota, VPCs in the region: 1 of 5 used",
        "✓ permissions, EC2's dry run: a VPC can be created",
        "✓ permissions, IAM's simulation:",
        "✓ Google Cloud: project lab-project in us-central1-a, as tutorial@",
        "✓ GKE: Kubernetes 1.35",
        "✓ network default: it has a subnet in us-central1",
        "✓ quota SSD_TOTAL_GB: 0 of 500 used in us-central1, 100 needed",
        "! nodes' service account: its roles are not known",
        "US dollars an hour",
    ):
        assert line in said
    assert "✗" not in said
    assert vpcs(account) == before


def test_yes_in_the_environment_is_for_ci(settings, asked, monkeypatch):
    monkeypatch.setenv("TUTORIAL_YES", "1")
    assert asked("n") is None
    monkeypatch.setenv("TUTORIAL_YES", "0")
    assert asked("n") == "Nothing was created."


def make(file: Path | str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: os.environ[name] for name in KEEP if name in os.environ}
    command = ["make", "tutorial", "TARGET=cloud", f"SETTINGS={file}", *words]
    return subprocess.run(
        command,
        env=clean | environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def test_make_without_an_answer_creates_nothing(account, settings):
    before = vpcs(account)
    refused = make(settings())
    assert refused.returncode != 0
    assert "Nothing was created." in refused.stderr
    assert "00-introduction" not in refused.stdout
    assert vpcs(account) == before


def test_make_without_settings_says_which_file_to_write():
    refused = make("no-such.toml")
    assert refused.returncode != 0
    assert "cp tutorial.example.toml no-such.toml" in refused.stderr


def test_a_shell_configured_for_a_lab_is_rejected(account, settings):
    refused = make(settings(AWS_ENDPOINT_URL=None), AWS_ENDPOINT_URL=account.lab["AWS_ENDPOINT_URL"])
    assert refused.returncode != 0
    said = "AWS_ENDPOINT_URL in the environment would take effect, because cloud.toml does not set it"
    assert said in refused.stderr


def test_an_unknown_target_is_rejected():
    refused = make("cloud.toml", "TARGET=moon")
    assert refused.returncode != 0
    assert "TARGET is lab or cloud" in refused.stderr


def stopped(asked, capsys, line: str) -> None:
    """A problem ends the run without a question, and the message names it."""
    assert "to solve first" in asked("y")
    said = capsys.readouterr().out
    assert any(found.startswith("✗") and line in found for found in said.splitlines()), said
    assert "US dollars" not in said


def test_unknown_credentials(settings, asked, capsys):
    settings(AWS_ACCESS_KEY_ID="NOBODYSKEYEXAMPLE00")
    stopped(asked, capsys, "InvalidClientTokenId")


def test_another_project(settings, asked, capsys):
    settings(GOOGLE_CLOUD_PROJECT="somebody-elses")
    stopped(asked, capsys, 'Required "container.clusters.list" permission(s) for "projects/somebody-elses"')


def test_a_missing_google_service_account(settings, asked, capsys, tmp_path):
    settings(GOOGLE_APPLICATION_CREDENTIALS=str(tmp_path / "none.json"))
    stopped(asked, capsys, "none.json")


def test_a_version_that_eks_no_longer_offers(settings, asked, capsys, monkeypatch):
    monkeypatch.setattr(eks, "VERSION", "1.29")
    stopped(asked, capsys, "EKS with Kubernetes 1.29: AWS does not offer it")


def test_a_gke_version_that_istio_does_not_support(settings, asked, capsys, monkeypatch):
    monkeypatch.setattr(istio, "KUBERNETES", ((1, 20), (1, 24)))
    stopped(asked, capsys, "is not supported by Istio 1-30")


def test_a_missing_program(settings, asked, capsys, monkeypatch, tmp_path):
    settings(TUTORIAL_TOOLS=str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    stopped(asked, capsys, "Starting istioctl: it is not installed")


def test_an_exhausted_quota(account, settings, asked, capsys):
    ec2 = account.client("ec2")
    made = [ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"] for _ in range(4)]
    stopped(asked, capsys, "quota, VPCs in the region: 5 of 5 used, 1 needed")
    for vpc in made:
        ec2.delete_vpc(VpcId=vpc)


def test_a_name_already_in_use(account, settings, asked, capsys):
    iam, name = account.client("iam"), "istio-multicloud-function"
    iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
    stopped(asked, capsys, f"the role {name} exists without the tag Project=istio-multicloud")
    iam.tag_role(RoleName=name, Tags=[{"Key": "Project", "Value": "istio-multicloud"}])
    assert asked("y") is None
    assert f"! name: the role {name} exists and is ours" in capsys.readouterr().out
    iam.delete_role(RoleName=name)


@contextmanager
def somebody_without(account: Account, action: str) -> Iterator[dict[str, str]]:
    """Keys of a user who has all permissions but that one."""
    iam = account.client("iam")
    iam.create_user(UserName="reader")
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    policy = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"},'
        f' {{"Effect": "Deny", "Action": "{action}", "Resource": "*"}}]}}'
    )
    iam.put_user_policy(UserName="reader", PolicyName="all-but-one", PolicyDocument=policy)
    yield {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    iam.delete_user_policy(UserName="reader", PolicyName="all-but-one")
    iam.delete_access_key(UserName="reader", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="reader")


def test_a_denied_permission(account, settings, asked, capsys):
    with somebody_without(account, "eks:Create*") as keys:
        settings(**keys)
        stopped(asked, capsys, "eks:CreateCluster: explicitDeny")


def test_a_function_whose_tags_cannot_be_listed(account, settings, asked, capsys):
    """It is not somebody else's: AWS omits the tags without denying the call."""
    function.ensure()
    with somebody_without(account, "lambda:ListTags") as keys:
        settings(**keys)
        stopped(asked, capsys, "not authorized to perform: lambda:ListTags on resource: arn:aws:lambda:")
    settings()
    assert asked("y") is None
    assert "! name: the function istio-multicloud-hello-world exists and is ours" in capsys.readouterr().out
    function.delete()


MAKE_CLUSTERS = (
    "from helpers import gke, network, eks; gke.create(); network.ensure(); eks.ensure(); gke.ensure()"
)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tutorial's own files, kept between notebooks."""
    return tmp_path_factory.mktemp("build")


def python(code: str, file: Path) -> subprocess.Popen[str]:
    """Start one of helpers' programs with only these settings."""
    environment = {name: os.environ[name] for name in KEEP if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-u", "-c", code],
        env=environment | {"TUTORIAL_SETTINGS": str(file)},
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_interrupted_runs_create_nothing_twice(account, tmp_path, build):
    """A killed process and Ctrl-C, each in the middle of a wait; then the next run."""
    file = account.settings(
        tmp_path / "cloud.toml", TUTORIAL_BUILD_DIR=str(build), KUBECONFIG=str(build / "kubeconfig")
    )
    for ends, wait in ((signal.SIGKILL, "… EKS cluster"), (signal.SIGINT, "… ")):
        program = python(MAKE_CLUSTERS, file)
        assert program.stdout
        for line in program.stdout:
            if line.startswith(wait):
                program.send_signal(ends)
                break
        program.communicate(timeout=LIMIT)
        assert program.returncode != 0
    last = python(MAKE_CLUSTERS, file)
    said = last.communicate(timeout=LIMIT)[0]
    assert last.returncode == 0, said
    assert "create-vpc" not in said
    assert "aws eks create-cluster" not in said
    assert account.client("eks").list_clusters()["clusters"] == ["istio-multicloud"]
    (network,) = [v for v in account.client("ec2").describe_vpcs()["Vpcs"] if not v["IsDefault"]]
    assert network["CidrBlock"] == "10.0.0.0/16"


def run_notebooks(file: Path, *numbers: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in Settings.model_fields}
    run(
        environment | {"TUTORIAL_SETTINGS": str(file)},
        sys.executable,
        "-m",
        "tests.faults.notebooks",
        *numbers,
    )


def variant(account: Account, folder: Path, build: Path, **changed: str | None) -> Path:
    """Without a machine in the VPC, as for most readers."""
    own = {
        "TUTORIAL_BUILD_DIR": str(build),
        "KUBECONFIG": str(build / "kubeconfig"),
        "TUTORIAL_INSIDE_VPC_COMMAND": None,
    }
    return account.settings(folder / "cloud.toml", **own, **changed)


def test_with_a_domain_acm_issues_and_the_gateway_verifies(account, tmp_path, build):
    file = variant(account, tmp_path, build, TUTORIAL_CERTIFICATE="acm")
    run_notebooks(file, "01", "02", "04")
    kinds = {"keyTypes": ["EC_prime256v1"]}
    (summary,) = account.client("acm").list_certificates(Includes=kinds)["CertificateSummaryList"]
    assert (summary["Type"], summary["Status"]) == ("AMAZON_ISSUED", "ISSUED")


LOSES_INPUT = """
from helpers import curl, pki, settings
from kubernetes.stream.ws_client import WSClient

give, given = WSClient.write_stdin, []

def lose(stream, text):  # as containerd does it at times
    given.append(text)
    give(stream, text if len(given) > 1 else b"")

WSClient.write_stdin = lose
ca = pki.ensure().alb_ca
new = ca.with_name("new-ca.crt")  # the pod may have the other one
new.write_bytes(ca.read_bytes())
curl.inside_vpc("-i", "--cacert", new, f"https://{settings.current().alb_host}/hello-world")
print(f"given {len(given)} times")
"""


def test_a_certificate_lost_on_its_way_into_the_pod_is_sent_again(account, tmp_path, build):
    done = python(LOSES_INPUT, variant(account, tmp_path, build, TUTORIAL_CERTIFICATE="acm"))
    said = done.communicate(timeout=LIMIT)[0]
    assert "given 2 times" in said
    assert "HTTP/2 200" in said


def in_eks(account: Account, build: Path, *words: str) -> str:
    """The output of kubectl or istioctl for the cluster in EKS."""
    program, *rest = words
    environment = account.lab | {"KUBECONFIG": str(build / "kubeconfig")}
    argv = [program, "--context", "eks", *rest]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=True).stdout


def test_the_internet_reaches_one_port_of_the_gateway(account, build):
    words = ("-n", "istio-ingress", "get", "service", "istio-ingressgateway", "-o", "json")
    got = json.loads(in_eks(account, build, "kubectl", *words))
    assert [port["port"] for port in got["spec"]["ports"]] == [443]


def test_the_load_balancers_security_group_restricts_pods_in_eks(account, build):
    """The tutorial's rule allows the VPC, whose subnets contain the addresses of pods in EKS."""
    ec2, elb = account.client("ec2"), account.client("elbv2")
    (balancer,) = elb.describe_load_balancers()["LoadBalancers"]
    (group,) = ec2.describe_security_groups(GroupIds=balancer["SecurityGroups"])["SecurityGroups"]
    rules = {"GroupId": group["GroupId"], "IpPermissions": group["IpPermissions"]}
    ask = (
        f"curl -s -o /dev/null -w '%{{http_code}}' --connect-timeout 2 http://{balancer['DNSName']}; echo $?"
    )

    def asked() -> str:
        return in_eks(account, build, "kubectl", "exec", "curl", "--", "sh", "-c", ask).strip()

    assert asked() == "2000"  # the status, and curl's exit code
    ec2.revoke_security_group_ingress(**rules)
    assert asked() == "00028"
    ec2.authorize_security_group_ingress(**rules)
    assert asked() == "2000"


def test_without_a_domain_only_the_vpc_resolves_the_name(account, tmp_path, build):
    """A private zone shadows the public one even before it has the record: the gateway has no address."""
    route53, ec2 = account.client("route53"), account.client("ec2")
    (vpc,) = [each["VpcId"] for each in ec2.describe_vpcs()["Vpcs"] if not each["IsDefault"]]
    where = {"VPC": {"VPCRegion": "us-east-1", "VPCId": vpc}, "HostedZoneConfig": {"PrivateZone": True}}
    route53.create_hosted_zone(Name="example.com", CallerReference="empty", **where)
    words = ("istioctl", "proxy-config", "endpoints", "deploy/istio-ingressgateway.istio-ingress")

    def known() -> bool:
        return "alb.example.com" in in_eks(account, build, *words)

    wait_until("the gateway to forget the balancer", known, lambda there: not there, timeout=LIMIT)
    run_notebooks(variant(account, tmp_path, build, TUTORIAL_ROUTE53_ZONE="private"), "01", "04")
    listed = route53.list_hosted_zones()["HostedZones"]
    assert sorted(zone["Config"]["PrivateZone"] for zone in listed) == [False, True]


ANOTHER_AUTHORITY = """
from helpers import curl, kube, pki, settings
from helpers.base.waiting import wait_until

certs = pki.ensure()
address = kube.service_address("eks", "istio-ingress", "istio-ingressgateway")
door = curl.resolve("lambda.external", 443, address)
door += ["--cacert", certs.mtls_ca, "--cert", certs.client_cert, "--key", certs.client_key]
ask = lambda: curl.outside(*door, "https://lambda.external/hello-world")

for authority, status in ((settings.current().TUTORIAL_ACM_ROOTS, 503), (certs.alb_ca, 200)):
    kube.secret("eks", "istio-ingress", "alb-ca", {"ca.crt": authority})
    # Envoy keeps using its open connections.
    for pod in kube.get("eks", "pods", "istio-ingress"):
        kube.delete("eks", "istio-ingress", f"pod/{pod.metadata.name}")
    kube.rollout("eks", "istio-ingress", "deploy/istio-ingressgateway")
    wanted = lambda answer: answer.status == status and (status == 200 or "connection failure" in answer.body)
    wait_until(f"status {status}", ask, wanted, timeout=60, state=lambda answer: str(answer.status))
"""


def test_the_gateway_trusts_no_other_ca(account, tmp_path, build):
    """Since the previous test, the load balancer presents a certificate that ACM's roots do not verify."""
    file = variant(account, tmp_path, build, TUTORIAL_ROUTE53_ZONE="private")
    done = python(ANOTHER_AUTHORITY, file)
    said = done.communicate(timeout=LIMIT)[0]
    assert done.returncode == 0, said

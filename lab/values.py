"""What a running lab tells the world: its endpoints, its keys, its programs."""

import json
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import binaries, images
from lab.errors import LabError
from lab.network import PUBLIC
from lab.settings import ACM_ROOT, GOOGLE_LOCATION, GOOGLE_PROJECT, REGION, Lab

CHECKOUT = Path(__file__).parent.parent
# Names that the clouds' tools read: in a shell that has others of them, they would ask other clouds.
_TOOLS = ("AWS_", "BOTO_CONFIG", "GOOGLE_", "CLOUDSDK_", "GCLOUD_", "ISTIOCTL_")
# Proxies and certificates of the reader's own network; what sends glibc elsewhere for a name.
_NOT_FOR_PROGRAMS = {
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("ssl_cert_file", "ssl_cert_dir", "curl_ca_bundle", "requests_ca_bundle"),
    *("hostaliases", "localdomain", "res_options"),
}
_LOOPBACK = "localhost,127.0.0.1,::1"
MARK = "# Written by `python -m lab up`"

# Stock Envoy has none of Istio's own filters, so what would configure them is off (lab/README.md).
ISTIO_VALUES = [
    "values.telemetry.enabled=false",
    "values.pilot.env.PILOT_ENABLE_METADATA_EXCHANGE=false",
    "values.pilot.env.PILOT_ENABLE_ALPN_FILTER=false",
    "values.global.imagePullPolicy=IfNotPresent",
    "values.global.proxy.resources.requests.cpu=10m",
    "values.global.proxy.resources.requests.memory=64Mi",
    "values.pilot.resources.requests.cpu=50m",
    "values.pilot.resources.requests.memory=128Mi",
]


def settings_file(lab: Lab) -> Path:
    """Where the tutorial reads its settings from for this lab."""
    return CHECKOUT / ("tutorial.toml" if lab.name == "lab" else f"tutorial-{lab.name}.toml")


def values(
    lab: Lab, aws_endpoint: str, aws_key: tuple[str, str], gke_endpoint: str, credentials: Path
) -> dict[str, str | list[str]]:
    """Names are those that the clouds' own tools read, where they have one.

    `aws_key`: its id and its secret.
    """
    state = CHECKOUT / "build" / lab.name
    python = ["env", f"LAB_NAME={lab.name}", sys.executable, "-m", "lab"]
    return {
        "AWS_ENDPOINT_URL": aws_endpoint,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": aws_key[0],
        "AWS_SECRET_ACCESS_KEY": aws_key[1],
        "GOOGLE_CLOUD_PROJECT": GOOGLE_PROJECT,
        "GOOGLE_CLOUD_LOCATION": GOOGLE_LOCATION,
        "GOOGLE_APPLICATION_CREDENTIALS": str(credentials),
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER": f"{gke_endpoint}/",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE": f"{gke_endpoint}/compute/v1/",
        "KUBECONFIG": str(state / "kubeconfig"),
        "TUTORIAL_BUILD_DIR": str(state),
        "TUTORIAL_DOMAIN": "example.com",
        "TUTORIAL_ACM_ROOTS": str(lab.data / ACM_ROOT),
        "TUTORIAL_AUTHORIZED_CIDR": str(PUBLIC),
        "TUTORIAL_OUTSIDE_COMMAND": shlex.join([*python, "exec", "outside", "--"]),
        "TUTORIAL_INSIDE_VPC_COMMAND": shlex.join([*python, "exec", "{vpc}", "--"]),
        "TUTORIAL_STATUS_COMMAND": shlex.join([*python, "status"]),
        "TUTORIAL_TOOLS": str(binaries.folder(lab.cache)),
        "TUTORIAL_ISTIO_HUB": binaries.ISTIO_HUB,
        "TUTORIAL_ISTIO_TAG": binaries.ISTIO_VERSION,
        "TUTORIAL_ISTIO_VALUES": ISTIO_VALUES,
        "TUTORIAL_CURL_IMAGE": images.CURL,
    }


def write(lab: Lab, named: dict[str, str | list[str]]) -> Path | None:
    """Write the settings file, which only the lab's owner can read: it has AWS's secret key.

    A file that the reader wrote is left alone: None.

    Raises:
        LabError: the file cannot be written.
    """
    path = settings_file(lab)
    lines = [f"{MARK}: the lab `{lab.name}`. Overwritten by the next one; a file without this line is not."]
    # TOML's strings and lists are JSON's for everything that stands here.
    lines += [f"{name} = {json.dumps(value)}" for name, value in named.items()]
    try:
        with _as_owner(lab):
            if path.exists() and not path.read_text().startswith(MARK):
                return None
            descriptor, fresh = tempfile.mkstemp(prefix="tutorial-", suffix=".toml", dir=path.parent)  # 0600
            with open(descriptor, "w") as file:
                file.write("\n".join(lines) + "\n")
            os.replace(fresh, path)
    except OSError as error:
        hint = f"is there space, and may you write in {path.parent}?"
        raise LabError(f"writing {path.name}", str(error), hint) from error
    return path


def for_programs() -> dict[str, str]:
    """The caller's environment, without what would lead a program past the network that it is started in."""
    return {name: value for name, value in os.environ.items() if name.lower() not in _NOT_FOR_PROGRAMS}


def exports(lab: Lab, named: dict[str, str | list[str]]) -> str:
    """Shell lines for `eval`: with them, anyone's own aws, kubectl and istioctl work against the lab.

    What else this process has of the clouds' names is unset, and the tools' files at home do not count.
    """
    tools = f"{named['TUTORIAL_TOOLS']}:{Path(sys.executable).parent}"
    ours = (*_TOOLS, "KUBECONFIG")
    exported = {name: str(value) for name, value in named.items() if name.startswith(ours)}
    gke, key = named["CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER"], named["GOOGLE_APPLICATION_CREDENTIALS"]
    exported |= {"LAB_NAME": lab.name, "AWS_DEFAULT_REGION": REGION}
    exported |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    exported |= {"KUBECACHEDIR": str(Path(exported["KUBECONFIG"]).with_name("kube-cache"))}  # else in ~/.kube
    exported |= {"KUBERC": "off"}  # ~/.kube/kuberc may ask before it deletes
    bypass = ",".join(filter(None, [os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), _LOOPBACK]))
    exported |= {"no_proxy": bypass, "NO_PROXY": bypass}
    # gcloud has names of its own, and without its token host would ask Google's real one.
    exported |= {
        "CLOUDSDK_CONFIG": str(Path(exported["KUBECONFIG"]).with_name("gcloud")),
        "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE": str(key),
        "CLOUDSDK_AUTH_TOKEN_HOST": f"{gke}token",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_SERVICEUSAGE": str(gke),
        "CLOUDSDK_CORE_UNIVERSE_DOMAIN": "lab.internal",
        "CLOUDSDK_CORE_PROJECT": GOOGLE_PROJECT,
    }
    others = [name for name in os.environ if name.startswith(_TOOLS) and name not in exported]
    lines = [f"unset {' '.join(others)}"] if others else []
    lines += [f"export {name}={shlex.quote(value)}" for name, value in exported.items()]
    lines.append(f"export TUTORIAL_SETTINGS={shlex.quote(str(settings_file(lab)))}")
    lines.append(f'export PATH={shlex.quote(tools)}:"$PATH"')
    return "\n".join(lines)


def remove(lab: Lab) -> None:
    """Delete what `write` wrote."""
    path = settings_file(lab)
    with _as_owner(lab):
        if path.exists() and path.read_text().startswith(MARK):
            path.unlink()


@contextmanager
def _as_owner(lab: Lab) -> Iterator[None]:
    """The checkout is its owner's: root need not be able to write there (NFS), and follows nobody's links."""
    uid, gid = os.geteuid(), os.getegid()
    os.setegid(lab.owner_gid)
    os.seteuid(lab.owner_uid)
    try:
        yield
    finally:
        os.seteuid(uid)
        os.setegid(gid)

"""A running lab's values for clients: its endpoints, keys and programs."""

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
# Names that the clouds' tools read: if your shell has set others, the tools would call other clouds.
_TOOLS = ("AWS_", "BOTO_CONFIG", "GOOGLE_", "CLOUDSDK_", "GCLOUD_", "ISTIOCTL_")
# Proxies and certificates of your own network, and what changes glibc's name resolution.
_NOT_FOR_PROGRAMS = {
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("ssl_cert_file", "ssl_cert_dir", "curl_ca_bundle", "requests_ca_bundle"),
    *("hostaliases", "localdomain", "res_options"),
}
_LOOPBACK = "localhost,127.0.0.1,::1"
MARK = "# Written by `python -m lab up`"


def settings_file(lab: Lab) -> Path:
    """The tutorial's settings file for this lab."""
    return CHECKOUT / ("tutorial.toml" if lab.name == "lab" else f"tutorial-{lab.name}.toml")


def values(
    lab: Lab, aws_endpoint: str, aws_key: tuple[str, str], gke_endpoint: str, credentials: Path
) -> dict[str, str | list[str]]:
    """The names are those that the clouds' own tools read, if there is one.

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
        "TUTORIAL_CURL_IMAGE": images.CURL,
        "TUTORIAL_TOOLS_IMAGE": images.TOOLS,
        "TUTORIAL_GATEWAY_API": str(binaries.folder(lab.cache) / binaries.GATEWAY_API),
    }


def write(lab: Lab, named: dict[str, str | list[str]]) -> Path | None:
    """Write the settings file, which only the lab's owner can read: it has AWS's secret key.

    A file without the lab's mark is kept: None.

    Raises:
        LabError: the file cannot be written.
    """
    path = settings_file(lab)
    lines = [f"{MARK}: the lab `{lab.name}`. Overwritten by the next one; a file without this line is not."]
    # For these values, TOML's strings and lists are JSON's.
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
        hint = f"check the free space, and that you may write to {path.parent}"
        raise LabError(f"writing {path.name}", str(error), hint) from error
    return path


def for_programs() -> dict[str, str]:
    """The caller's environment, without variables that would bypass the network it is started in."""
    return {name: value for name, value in os.environ.items() if name.lower() not in _NOT_FOR_PROGRAMS}


def exports(lab: Lab, named: dict[str, str | list[str]]) -> str:
    """Shell lines for `eval` that point your own aws, kubectl and istioctl to the lab.

    Other variables of the clouds in this process's environment are unset, and the tools' files in your home
    folder are not used.
    """
    tools = f"{named['TUTORIAL_TOOLS']}:{Path(sys.executable).parent}"
    ours = (*_TOOLS, "KUBECONFIG")
    exported = {name: str(value) for name, value in named.items() if name.startswith(ours)}
    gke, key = named["CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER"], named["GOOGLE_APPLICATION_CREDENTIALS"]
    exported |= {"LAB_NAME": lab.name, "AWS_DEFAULT_REGION": REGION}
    exported |= {"AWS_PAGER": ""}  # version 2 would open `less` in the middle of a pasted block
    exported |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    exported |= {"KUBECACHEDIR": str(Path(exported["KUBECONFIG"]).with_name("kube-cache"))}  # else in ~/.kube
    exported |= {"KUBERC": "off"}  # ~/.kube/kuberc may ask for confirmation before a delete
    bypass = ",".join(filter(None, [os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), _LOOPBACK]))
    exported |= {"no_proxy": bypass, "NO_PROXY": bypass}
    # gcloud's names differ, and without a token its host would call Google's real one.
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
    """The checkout's owner writes the file: root may be unable to (NFS), and must not follow its links."""
    uid, gid = os.geteuid(), os.getegid()
    os.setegid(lab.owner_gid)
    os.seteuid(lab.owner_uid)
    try:
        yield
    finally:
        os.seteuid(uid)
        os.setegid(gid)

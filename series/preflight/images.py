"""Whether the registries have the images that the nodes of both clusters will pull.

Requests the manifest only, without credentials like a node; Docker Hub does not count that as a pull:
https://github.com/opencontainers/distribution-spec/blob/main/spec.md#checking-if-content-exists-in-the-registry
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import requests
from requests.utils import parse_dict_header

from helpers.base.settings import current
from series.preflight.finding import Finding, note, ok, stop

_TIMEOUT = (5, 15)  # seconds: to connect, to answer
_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_DOCKER_HUB = "registry-1.docker.io"  # the API of docker.io
_NODES = "This does not stop the run: the nodes have a network of their own"
_LOOPBACK = re.compile(r"(localhost|127\.[\d.]+)(:|$)")  # without TLS, as in containerd


class Image(NamedTuple):
    """The parts of an image's name, which say where its manifest is."""

    registry: str
    repository: str
    reference: str

    @classmethod
    def parse(cls, name: str) -> "Image":
        """Parse as containerd does: docker.io, library/ and latest are defaults."""
        first, _, rest = name.partition("/")
        named = rest and re.search(r"[.:]|^localhost$", first)
        registry, path = (first, rest) if named else ("docker.io", name)
        repository, at, reference = path.partition("@")
        if not at:
            repository, _, reference = path.partition(":")
        if registry == "docker.io":
            registry, repository = _DOCKER_HUB, repository if "/" in repository else f"library/{repository}"
        return cls(registry, repository, reference or "latest")

    def manifest(self) -> str:
        """The URL of its manifest."""
        scheme = "http" if _LOOPBACK.match(self.registry) else "https"
        return f"{scheme}://{self.registry}/v2/{self.repository}/manifests/{self.reference}"


def look() -> Iterator[Finding]:
    """The state of each image: available, missing, denied, or unknown if the registry is unreachable."""
    hub, tag = current().TUTORIAL_ISTIO_HUB, current().TUTORIAL_ISTIO_TAG
    for component in ("pilot", "proxyv2"):
        yield _finding(f"{hub}/{component}:{tag}", "TUTORIAL_ISTIO_HUB and TUTORIAL_ISTIO_TAG")
    yield _finding(current().TUTORIAL_CURL_IMAGE, "TUTORIAL_CURL_IMAGE")
    tools = _finding(current().TUTORIAL_TOOLS_IMAGE, "TUTORIAL_TOOLS_IMAGE")
    only = f"{tools.says}. Only notebooks 9 and 10 need it"
    yield note(tools.subject, only) if tools.level == "stop" else tools


def _finding(name: str, settings: str) -> Finding:
    subject, image = f"image {name}", Image.parse(name)
    try:
        status = _status(image)
    except requests.RequestException as error:
        why = getattr(error.args[0] if error.args else None, "reason", error)
        return note(subject, f"{image.registry} is unreachable: {why}. {_NODES}")
    if status == 200:
        return ok(subject, f"{image.registry} has it")
    if status == 404:
        return stop(subject, f"{image.registry} has no such image: change {settings}")
    if status == 401:
        why = "it does not exist, or needs credentials, which the nodes do not have"
        return stop(subject, f"{image.registry} denies access: {why}. Change {settings}")
    return note(subject, f"{image.registry} answers {status}. {_NODES}")


def _status(image: Image) -> int:
    """The HTTP status of the manifest, with the token that a registry issues to anyone."""
    with requests.Session() as session:
        session.auth = lambda request: request  # else a name and password of ~/.netrc
        session.headers["Accept"] = ", ".join(_MANIFESTS)
        answer = session.head(image.manifest(), timeout=_TIMEOUT, allow_redirects=True)
        challenge = answer.headers.get("WWW-Authenticate", "")
        if answer.status_code == 401 and (token := _token(session, challenge)):
            bearer = {"Authorization": f"Bearer {token}"}
            answer = session.head(image.manifest(), timeout=_TIMEOUT, headers=bearer, allow_redirects=True)
        return answer.status_code


def _token(session: requests.Session, challenge: str) -> str:
    """https://distribution.github.io/distribution/spec/auth/token/; "" if there is none."""
    scheme, _, parameters = challenge.partition(" ")
    asked = parse_dict_header(parameters) if scheme.lower() == "bearer" else {}
    if not (realm := asked.pop("realm", None)):
        return ""
    answer = session.get(realm, params=asked, timeout=_TIMEOUT)
    if not answer.ok:
        return ""
    given = answer.json()
    return given.get("token") or given.get("access_token") or ""

"""Whether Google Cloud will let the tutorial through: who asks, versions, names."""

from collections.abc import Iterator

from helpers import gke, istio
from helpers.base.settings import current
from helpers.gcp import client, cloud_nat
from series.preflight.finding import Finding, note, ok, stop


def identity() -> Iterator[Finding]:
    """The project, the location and who acts there."""
    settings = current()
    who, key_file = client.identity()
    place = f"project {settings.GOOGLE_CLOUD_PROJECT} in {settings.GOOGLE_CLOUD_LOCATION}"
    gke.server_config()  # only an answer shows that the credentials are accepted
    yield ok("Google Cloud", f"{place}, as {who}")
    if key_file:
        yield note("Google Cloud", "a service account's key file lives long; your own sign-in ends by itself")


def versions() -> Iterator[Finding]:
    """Whether Istio supports the Kubernetes version that GKE will choose."""
    lowest, highest = istio.KUBERNETES
    offered = gke.default_version(gke.server_config())
    minor = tuple(int(part) for part in offered.split(".")[:2])
    if lowest <= minor <= highest:
        yield ok("GKE", f"Kubernetes {offered}, the default of the channel {gke.CHANNEL}")
    else:
        yield stop(
            "GKE", f"Kubernetes {offered} is none that Istio {current().TUTORIAL_ISTIO_REVISION} supports"
        )


def names() -> Iterator[Finding]:
    """Whether what the tutorial makes in Google Cloud would meet something of somebody else's."""
    name, router, cluster = current().TUTORIAL_NAME, cloud_nat.find(), gke.describe()
    if router and not cloud_nat.is_ours(router):
        yield stop("name", f"the Cloud Router {name} exists and is not ours: set another TUTORIAL_NAME")
    if cluster is None:
        yield ok("GKE", f"no cluster is called {name} yet; quotas show when it is asked for")
    elif cluster.resource_labels.get("project") == name:
        yield note("name", f"the GKE cluster {name} exists and is ours: the run goes on with it")
    else:
        yield stop("name", f"the GKE cluster {name} exists without our label: set another TUTORIAL_NAME")


CHECKS = (identity, versions, names)

"""A Kubernetes cluster, whichever cloud it is in."""

from dataclasses import dataclass


@dataclass
class Cluster:
    """As its cloud describes it, in that cloud's words. It was printed, so it shows nothing in a notebook."""

    context: str  # in the kubeconfig
    name: str
    status: str
    reason: str  # why it has that status, where the cloud says
    version: str
    url: str  # of its API server; "" where there is none yet
    ca: str  # what the API server's certificate is verified with, in base64

    def _ipython_display_(self) -> None: ...

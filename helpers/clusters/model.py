"""A Kubernetes cluster, whichever cloud it is in."""

from dataclasses import dataclass


@dataclass
class Cluster:
    """As its cloud describes it; `status` is in that cloud's words. It was printed, so it shows nothing."""

    context: str  # in the kubeconfig
    name: str
    status: str
    endpoint: str
    version: str

    def _ipython_display_(self) -> None: ...

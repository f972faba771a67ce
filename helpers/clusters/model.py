"""A Kubernetes cluster, whichever cloud it is in."""

from dataclasses import dataclass


@dataclass
class Cluster:
    """As its cloud describes it; `status` is in that cloud's words. It was printed, so it shows nothing."""

    context: str  # in the kubeconfig
    name: str
    status: str
    url: str  # of its API server
    version: str
    reason: str = ""  # why it is in that state, in its cloud's words

    def _ipython_display_(self) -> None: ...

"""A Kubernetes cluster, whichever cloud it is in."""

from dataclasses import dataclass


@dataclass
class Cluster:
    """As its cloud describes it. It was already printed, so a notebook displays nothing for it."""

    context: str  # in the kubeconfig
    name: str
    status: str
    reason: str  # the reason for that status, if the cloud gives one
    version: str
    url: str  # of its API server; "" if there is none yet
    ca: str  # the CA of the API server's certificate, in base64

    def _ipython_display_(self) -> None: ...

"""The lab's programs: Kubernetes, etcd, CoreDNS and Istio, built from pinned Go modules."""

from lab.binaries.build import (
    ISTIO_HUB,
    ISTIO_VERSION,
    KUBERNETES_VERSION,
    PROGRAMS,
    build,
    folder,
    is_built,
    toolchain,
)

__all__ = [
    "ISTIO_HUB",
    "ISTIO_VERSION",
    "KUBERNETES_VERSION",
    "PROGRAMS",
    "build",
    "folder",
    "is_built",
    "toolchain",
]

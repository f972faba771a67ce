"""The lab's programs: Kubernetes, etcd, CoreDNS and Istio, built from pinned Go modules."""

from lab.binaries.build import (
    GATEWAY_API,
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
    "GATEWAY_API",
    "ISTIO_HUB",
    "ISTIO_VERSION",
    "KUBERNETES_VERSION",
    "PROGRAMS",
    "build",
    "folder",
    "is_built",
    "toolchain",
]

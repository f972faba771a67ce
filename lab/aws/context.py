"""What AWS's services share: the lab's parts, access to each other, and their integration in moto."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Any, ClassVar, TypeVar

from moto.core.base_backend import BackendDict, BaseBackend
from moto.core.responses import BaseResponse

from lab.cluster.cluster import MakeCluster
from lab.dns.zones import Dns
from lab.network import Internet, Vpc
from lab.pki import CertificateAuthority
from lab.settings import ACCOUNT_ID, Lab

Kind = TypeVar("Kind", bound="LabBackend")


@dataclass
class LabContext:
    """The lab's parts that services use, and the services themselves.

    Attributes:
        make_cluster: builds a Kubernetes cluster without starting it.
        certificate_authority: signs what ACM issues.
        endpoint_url: of the lab's own AWS API.
            services: the lab's subclass of a moto backend, and the moto service it replaces.
            vpcs: by VPC id, those with a network: the ones that have real resources.
    """

    lab: Lab
    internet: Internet
    dns: Dns
    make_cluster: MakeCluster
    certificate_authority: CertificateAuthority
    endpoint_url: str
    services: Mapping[type[Any], BackendDict]
    vpcs: dict[str, Vpc] = field(default_factory=dict)

    def peer(self, kind: type[Kind], region: str = "aws") -> Kind:
        """The backend of that class in a region; global services use the region "aws"."""
        return self.services[kind][ACCOUNT_ID][region]


def network_name(vpc_id: str) -> str:
    """The name of a VPC's network, which may not exist yet."""
    return f"aws-{vpc_id.removeprefix('vpc-')[:8]}"


class LabBackend:
    """Mixed into a subclass of one of moto's backends; `super()` is moto's own behavior."""

    context: ClassVar[LabContext]
    response_class: ClassVar[type[BaseResponse] | None] = None  # replaces moto's response class
    region_name: str

    def peer(self, kind: type[Kind]) -> Kind:
        """The backend of that class in the same region."""
        return self.context.peer(kind, self.region_name)

    @property
    def url_paths(self) -> dict[str, Callable[..., Any]]:
        paths = super().url_paths  # type: ignore[misc]
        return dict.fromkeys(paths, self.response_class.dispatch) if self.response_class else paths

    @property
    def _url_module(self) -> ModuleType:
        """moto looks for the service's paths in the backend's module: this returns those of moto's own."""
        module = next(cls.__module__ for cls in type(self).__mro__ if cls.__module__.startswith("moto."))
        return import_module(module.removesuffix(".models") + ".urls")


class Backends:
    """The subclasses replace moto's own backends, from construction until `restore`."""

    def __init__(self, context: LabContext) -> None:
        BackendDict.reset()
        self._originals: list[tuple[BackendDict, type[BaseBackend]]] = []
        for backend, service in context.services.items():
            self._originals.append((service, service.backend))
            backend.context = context
            service.backend = backend

    def restore(self) -> None:
        """Delete all resources and restore moto."""
        BackendDict.reset()
        for service, backend in self._originals:
            service.backend = backend

"""How the lab gets into moto: subclasses of its backends, in which `super()` is what moto does by itself."""

from collections.abc import Iterable
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar

from moto.core.base_backend import BackendDict, BaseBackend

if TYPE_CHECKING:
    from lab.aws.server import Aws


class Backed:
    """Mixed into a subclass of one of moto's backends; `aws` is the lab behind it."""

    aws: ClassVar["Aws"]

    @property
    def _url_module(self) -> ModuleType:
        """moto looks for the service's paths beside the backend's class: here, beside moto's own."""
        module = next(cls.__module__ for cls in type(self).__mro__ if cls.__module__.startswith("moto."))
        return import_module(module.removesuffix(".models") + ".urls")


class Backends:
    """The subclasses in place of moto's own, from construction until `restore`."""

    def __init__(self, aws: "Aws", replacements: Iterable[tuple[BackendDict, type[BaseBackend]]]) -> None:
        BackendDict.reset()
        self._originals: list[tuple[BackendDict, type[BaseBackend]]] = []
        for service, backend in replacements:
            self._originals.append((service, service.backend))
            backend.aws = aws  # type: ignore[attr-defined]
            service.backend = backend

    def restore(self) -> None:
        """Forget all resources; moto is as it was."""
        BackendDict.reset()
        for service, backend in self._originals:
            service.backend = backend

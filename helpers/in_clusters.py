"""What notebooks 02 to 05 create in the clusters, for a clean-up that keeps the clusters."""

from dataclasses import dataclass

from helpers import istio, kube
from helpers.base.contents import OBJECTS
from helpers.base.resource import Resource


@dataclass(frozen=True)
class Object:
    """An Istio object or a Secret."""

    context: str
    namespace: str
    kind: str
    name: str

    def leftovers(self) -> list[Resource]:
        """The object, if it exists."""
        found = kube.find(self.context, self.namespace, f"{self.kind}/{self.name}")
        return [Resource(self.context, self.kind, f"{self.namespace}/{self.name}")] if found else []

    def delete(self) -> None:
        """Delete it, if it exists."""
        if self.leftovers():
            kube.delete(self.context, self.namespace, f"{self.kind.lower()}/{self.name}")


@dataclass(frozen=True)
class Namespace:
    """A namespace with everything in it. It is gone only after the load balancers of its Services are."""

    context: str
    name: str

    def leftovers(self) -> list[Resource]:
        """The object, if it exists."""
        found = kube.find(self.context, "", f"namespace/{self.name}")
        return [Resource(self.context, "Namespace", self.name)] if found else []

    def delete(self) -> None:
        """Delete it and wait until it is gone, if it exists."""
        if self.leftovers():
            kube.delete(self.context, "", f"namespace/{self.name}")


@dataclass(frozen=True)
class ControlPlane(Namespace):
    """istiod's namespace, and everything that Istio has installed in the cluster."""

    def delete(self) -> None:
        """Uninstall it and wait until it is gone, if it exists."""
        if self.leftovers():
            istio.uninstall(self.context)
        super().delete()


# Dependents first. The keys are those of `contents.THINGS`.
NOUNS: dict[str, Object | Namespace] = {
    **{
        f"{context}/{kind}/{name}": Object(context, OBJECTS[context].namespace, kind, name)
        for context in ("gke", "eks")
        for kind, name in reversed(OBJECTS[context].names)
    },
    "gke/sleep": Namespace("gke", "sleep"),
    "gke/gateway": Namespace("gke", OBJECTS["gke"].namespace),
    "gke/istiod": ControlPlane("gke", "istio-system"),
    "eks/gateway": Namespace("eks", OBJECTS["eks"].namespace),
    "eks/istiod": ControlPlane("eks", "istio-system"),
}

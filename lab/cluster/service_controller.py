"""The service controller: the part of a cloud's controller manager that serves Services of type LoadBalancer.

https://kubernetes.io/docs/concepts/services-networking/service/#loadbalancer, and for the finalizer
https://kubernetes.io/docs/concepts/architecture/cloud-controller/#service-controller.
"""

import logging
from collections.abc import Callable
from threading import Event, Thread
from typing import Any, Protocol

from kubernetes import client, watch
from kubernetes.client.exceptions import ApiException

from lab.errors import LabError

FINALIZER = "service.kubernetes.io/load-balancer-cleanup"
RESYNC = 30  # seconds after which all Services are synced again
MERGE = "application/merge-patch+json"
log = logging.getLogger(__name__)

Service = Any  # client.V1Service, all of whose fields are typed as optional


class Machine(Protocol):
    """A cluster's node, for the cloud."""

    @property
    def address(self) -> str:
        """Its private address."""

    @property
    def provider_id(self) -> str:
        """Its name in the cloud, from Kubernetes' `spec.providerID`."""


NodeOf = Callable[[], Machine | None]


class Policy(Protocol):
    """A cloud's load balancers. Both calls are idempotent; the Service's uid identifies its load balancer."""

    def ensure(self, service: Service, node: NodeOf) -> list[dict[str, str]]:
        """Create or update the load balancer; returns status.loadBalancer.ingress."""

    def release(self, uid: str) -> None:
        """Delete the load balancer, if it exists."""

    def close(self) -> None:
        """Called when the cluster is deleted: what happens to the load balancers of its Services."""


class ServiceController:
    """Watches one cluster's Services, in a thread, and keeps load balancers and statuses in sync."""

    def __init__(self, core: client.CoreV1Api, policy: Policy, node: NodeOf) -> None:
        self._core, self._policy, self._node = core, policy, node
        self._held: set[str] = set()
        self._reported: dict[str, str] = {}  # the last message about each Service, by uid
        self._stop = Event()
        self._thread = Thread(target=self._run, name="load-balancers", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stopping(self) -> None:
        """From now on, a broken connection is no error."""
        self._stop.set()

    def stop(self) -> None:
        """Call it after the API server has stopped, which ends the watch."""
        self._stop.set()
        self._thread.join(RESYNC)
        self._policy.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._list_and_watch()
            except Exception as error:
                if not self._stop.is_set():
                    log.warning("watching Services: %s; starting again", error)
                    self._stop.wait(1)

    def _list_and_watch(self) -> None:
        listed: Any = self._core.list_service_for_all_namespaces()
        for uid in self._held - {service.metadata.uid for service in listed.items}:
            self._release(uid)
        for service in listed.items:
            self._reconcile(service)
        events = watch.Watch().stream(
            self._core.list_service_for_all_namespaces,
            resource_version=listed.metadata.resource_version,
            timeout_seconds=RESYNC,
        )
        for event in events:
            if event["type"] == "DELETED":
                self._release(event["object"].metadata.uid)
            else:
                self._reconcile(event["object"])

    def _reconcile(self, service: Service) -> None:
        try:
            if service.spec.type == "LoadBalancer" and not service.metadata.deletion_timestamp:
                self._ensure(service)
            else:
                self._clean_up(service)
        except ApiException as error:
            if error.status not in (404, 409):  # it has changed: another event follows
                raise
        except LabError as refused:
            self._report(service, str(refused))
        except Exception as error:
            log.exception("the load balancer of %s/%s", service.metadata.namespace, service.metadata.name)
            self._report(service, str(error))

    def _ensure(self, service: Service) -> None:
        if wanted := service.spec.load_balancer_class:
            # A cloud's controller silently ignores it, for another controller to serve.
            raise LabError(f"loadBalancerClass {wanted}", "nothing in this cluster serves it", "remove it")
        self._held.add(service.metadata.uid)
        self._set_finalizer(service, True)
        ingress = self._policy.ensure(service, self._node)
        shown = service.status.load_balancer.ingress or []
        self._reported.pop(service.metadata.uid, None)
        if [{"hostname": one.hostname} if one.hostname else {"ip": one.ip} for one in shown] != ingress:
            self._set_status(service, ingress)

    def _clean_up(self, service: Service) -> None:
        self._release(service.metadata.uid)
        if service.status.load_balancer.ingress and not service.metadata.deletion_timestamp:
            self._set_status(service, None)
        self._set_finalizer(service, False)

    def _release(self, uid: str) -> None:
        if uid in self._held:
            self._policy.release(uid)
            self._held.discard(uid)

    def _set_finalizer(self, service: Service, wanted: bool) -> None:
        meta = service.metadata
        others = [name for name in meta.finalizers or [] if name != FINALIZER]
        if wanted != (FINALIZER in (meta.finalizers or [])):
            finalizers = [*others, FINALIZER] if wanted else others
            body = {"metadata": {"finalizers": finalizers, "resourceVersion": meta.resource_version}}
            self._core.patch_namespaced_service(meta.name, meta.namespace, body, _content_type=MERGE)

    def _set_status(self, service: Service, ingress: list[dict[str, str]] | None) -> None:
        body = {"status": {"loadBalancer": {"ingress": ingress}}}
        meta = service.metadata
        self._core.patch_namespaced_service_status(meta.name, meta.namespace, body, _content_type=MERGE)

    def _report(self, service: Service, message: str) -> None:
        """Record an event for `kubectl describe service`; once per message."""
        meta = service.metadata
        if self._reported.get(meta.uid) == message:
            return
        self._reported[meta.uid] = message
        event = client.CoreV1Event(
            metadata=client.V1ObjectMeta(generate_name=f"{meta.name}.", namespace=meta.namespace),
            involved_object=client.V1ObjectReference(
                api_version="v1", kind="Service", name=meta.name, namespace=meta.namespace, uid=meta.uid
            ),
            type="Warning", reason="SyncLoadBalancerFailed",
            message=f"Error syncing load balancer: failed to ensure load balancer: {message}"[:1024],
            source=client.V1EventSource(component="service-controller"),
        )  # fmt: skip
        self._core.create_namespaced_event(meta.namespace, event)

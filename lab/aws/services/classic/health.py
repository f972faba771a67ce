"""Health checks of a Classic Load Balancer's instances, and the resulting states.

https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/elb-healthchecks.html, and for the wording
https://docs.aws.amazon.com/elasticloadbalancing/2012-06-01/APIReference/API_InstanceState.html
"""

import http.client
from dataclasses import dataclass
from threading import Event, Lock, Thread

from lab import sockets
from lab.aws import delays
from lab.aws.dataplane.load_balancer.health import Streak
from lab.cluster.service_controller import Machine, NodeOf

_REGISTERING = "ELB", "Instance registration is still in progress."
_FAILED = (
    "Instance",
    "Instance has failed at least the UnhealthyThreshold number of health checks consecutively.",
)
_NOT_PASSED = (
    "Instance",
    "Instance has not passed the configured HealthyThreshold number of health checks consecutively.",
)


@dataclass(frozen=True)
class HealthCheck:
    """As in `ConfigureHealthCheck`, with the defaults of Kubernetes' controller. Times in seconds.

    https://github.com/kubernetes/cloud-provider-aws/blob/master/pkg/providers/v1/aws_loadbalancer.go
    """

    target: str  # TCP:<port>, or HTTP:<port><path>
    interval: int = 10
    timeout: int = 5
    unhealthy_threshold: int = 6
    healthy_threshold: int = 2

    def passes(self, address: str, namespace: sockets.NamespacePath) -> bool:
        """Check once: TCP needs a connection, HTTP the status 200."""
        protocol, _, rest = self.target.partition(":")
        port, slash, path = rest.partition("/")
        try:
            with sockets.connect((address, int(port)), namespace, self.timeout) as connection:
                return protocol == "TCP" or _status(connection, address, slash + path, self.timeout) == 200
        except (OSError, http.client.HTTPException):
            return False


def _status(connection: sockets.socket.socket, host: str, path: str, timeout: int) -> int:
    connection.settimeout(timeout)
    client = http.client.HTTPConnection(host)
    client.sock = connection
    client.request("GET", path, headers={"User-Agent": "ELB-HealthChecker/1.0", "Connection": "close"})
    return client.getresponse().status


class Instance:
    """A registered instance. A new one is out of service until enough consecutive checks have passed."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.in_service = machine, False
        self._streak = Streak()

    @property
    def id(self) -> str:
        """The instance id of a provider id such as aws:///us-east-1a/i-0123456789abcdef0."""
        return self.machine.provider_id.rpartition("/")[2]

    def add(self, passed: bool, check: HealthCheck) -> None:
        """Record the result of one check."""
        self._streak.add(passed)
        threshold = check.healthy_threshold if passed else check.unhealthy_threshold
        if self._streak.count >= threshold:
            self.in_service = passed

    def reason(self, check: HealthCheck) -> tuple[str, str]:
        """Reason code and description, as in describe-instance-health."""
        passed, count = self._streak.passed, self._streak.count
        if self.in_service:
            return "N/A", "N/A"
        if passed and count:
            return _NOT_PASSED
        return _FAILED if count >= check.unhealthy_threshold else _REGISTERING


class Health:
    """Registers the cluster's node, the only one in the lab, and checks it until `close`."""

    def __init__(self, namespace: sockets.NamespacePath, node: NodeOf, check: HealthCheck) -> None:
        self.check = check
        self._namespace, self._node = namespace, node
        self._instance: Instance | None = None
        self._lock, self._closed = Lock(), Event()
        self._register()
        Thread(target=self._run, name="health-check", daemon=True).start()

    def instances(self) -> list[Instance]:
        """The registered instances, in service or not."""
        instance = self._register()
        return [instance] if instance else []

    def in_service(self) -> Machine | None:
        """The instances that get new connections."""
        return next((one.machine for one in self.instances() if one.in_service), None)

    def close(self) -> None:
        self._closed.set()

    def _register(self) -> Instance | None:
        with self._lock:
            machine = self._node()
            if machine is None:
                self._instance = None
            elif self._instance is None or self._instance.machine is not machine:
                self._instance = Instance(machine)
            return self._instance

    def _run(self) -> None:
        while not self._closed.wait(delays.INSTANCE_CHECK):
            for instance in self.instances():
                passed = self.check.passes(instance.machine.address, self._namespace)
                instance.add(passed, self.check)

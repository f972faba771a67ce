"""The one process that owns a lab: both clouds, their networks, and what `exec` runs in them."""

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import WeakSet

from lab import binaries, cgroups, control, execution, images, own_images, values
from lab.aws.server import Aws
from lab.cluster import runtime
from lab.cluster.cluster import Cluster
from lab.dns.zones import Dns
from lab.errors import LabError
from lab.execution import Network
from lab.gcp.server import Gcp
from lab.network import PUBLIC_DNS, Internet
from lab.processes import Processes
from lab.settings import Lab

log = logging.getLogger(__name__)


class Daemon:
    """One lab. `run` returns after the lab has been told to stop and everything has ended."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.started = time.clock_gettime(time.CLOCK_BOOTTIME)  # nobody can set this clock
        self.stopping = threading.Event()
        self.programs = binaries.folder(lab.cache)
        self.images = images.build(self.programs, lab.cache)
        self.processes = Processes(lab)
        self.clusters: WeakSet[Cluster] = WeakSet()
        self.internet = Internet(lab.run)
        self.dns = Dns(self.internet, self.processes, self.programs, lab.data / "dns")
        self.aws = Aws(lab, self.internet, self.dns, self.make_cluster, port=lab.aws_port)
        self.gcp = Gcp(lab, self.internet, self.make_cluster, self.dns.start_resolver, port=lab.gke_port)

    def make_cluster(self, spec, vpc, load_balancers) -> Cluster:
        made = Cluster(spec, vpc, self.processes, self.lab, self.programs, self.images, load_balancers)
        self.clusters.add(made)
        return made

    def run(self) -> None:
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, lambda *_: self.stopping.set())
        try:
            self.internet.up()
            self.dns.start()
            self.aws.start()
            self.gcp.start()
            threading.Thread(target=self.import_images, daemon=True, name="images").start()
            handlers = {
                "status": self.status,
                "exec": self.exec,
                "values": self.values,
                "image": self.add_image,
            }
            server = control.Server(self.lab.run, self.lab.owner_uid, handlers)
            log.info("the lab is up")
            # Polled, as a signal that another thread receives does not wake this one, which handles it.
            while not self.stopping.wait(timeout=0.5):
                pass
            server.close()
        finally:
            self.stop()

    def import_images(self) -> None:
        """Takes 10 s once per machine, so it starts before the first cluster needs it."""
        runtime.image_store(self.images, self.lab.cache, self.processes, f"{self.lab.cgroup}/images")

    def stop(self) -> None:
        clouds = (self.gcp.stop, self.aws.stop)
        for stop in (*clouds, self.dns.stop, self.processes.stop_all, self.internet.down):
            try:
                stop()
            except Exception:  # `down` finds the rest by the lab's cgroup and paths
                log.exception("stopping the lab")

    def values(
        self, request: dict[str, Any], files: list[int], is_disconnected: Callable[[], bool]
    ) -> control.Answer:
        return {
            "values": values.values(
                self.lab,
                self.aws.endpoint_url,
                self.aws.key,
                self.gcp.endpoint_url,
                self.gcp.credentials_file,
            )
        }

    def status(
        self, request: dict[str, Any], files: list[int], is_disconnected: Callable[[], bool]
    ) -> control.Answer:
        return {
            "since": self.started,
            "aws": self.aws.endpoint_url,
            "gke": self.gcp.endpoint_url,
            "networks": sorted(self.networks()),
            "memory": resident(cgroups.processes(self.lab.cgroup)),
            "processes": len(cgroups.processes(self.lab.cgroup)),
            "ended": self.processes.ended(),
        }

    def networks(self) -> dict[str, Network]:
        """By the names that `exec` takes; `vpc` is one of them while AWS has only one VPC."""
        named = {vpc_id: Network(vpc.namespace, vpc.resolver) for vpc_id, vpc in self.aws.vpcs.items()}
        if len(named) == 1:
            named["vpc"] = next(iter(named.values()))
        if self.gcp.vpc:
            named["gcp"] = Network(self.gcp.vpc.namespace, self.gcp.vpc.resolver)
        on_the_internet = {"outside": self.internet.outside, "lambda": self.internet.functions}
        return named | {name: Network(each, PUBLIC_DNS) for name, each in on_the_internet.items()}

    def exec(
        self, request: dict[str, Any], files: list[int], is_disconnected: Callable[[], bool]
    ) -> control.Answer:
        """Run a program in a network, as the lab's owner and with the caller's files and environment."""
        network = self.networks().get(request["network"])
        if network is None:
            several = request["network"] == "vpc" and len(self.aws.vpcs) > 1
            raise LabError(
                f"running {request['argv'][0]} in {request['network']}",
                f"there is no such network; networks now: {', '.join(sorted(self.networks()))}",
                "name the VPC by its id, as there are several"
                if several
                else "create the VPC first: a network appears with the first thing that needs it",
            )
        status = execution.run(
            network,
            request["argv"],
            etc=self.lab.run / "etc",
            user=(self.lab.owner_uid, self.lab.owner_gid),
            files=files,
            cwd=request["cwd"],
            environment=request["environment"],
            is_disconnected=is_disconnected,
        )
        return {"exit": status, "ended": self.processes.ended()}

    def add_image(
        self, request: dict[str, Any], files: list[int], is_disconnected: Callable[[], bool]
    ) -> control.Answer:
        """Add the image in the caller's open file to all clusters, including later ones."""
        return {"names": own_images.add(self.lab.own_images, files[0], list(self.clusters))}


def resident(pids: list[int]) -> int:
    """Bytes of memory that these processes use; shared memory is counted once."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:  # has ended
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def main(lab: Lab) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    try:
        Daemon(lab).run()
    except LabError as error:  # `up` shows it
        sys.exit(str(error))

"""The approximate cost of a run on real accounts, in US dollars without taxes.

Each price is today's for the settings' region if the cloud provides it; otherwise it is the table's, for
us-east-1 or us-central1, with the month in which it was last read.
"""

import functools
import math
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

from helpers import gcp, gke, show
from helpers.aws import node_group, price_list
from helpers.aws.price_list import Product
from helpers.base.errors import TutorialError
from helpers.base.settings import current
from helpers.gcp import billing_catalog
from helpers.gcp.billing_catalog import COMPUTE, KUBERNETES, NETWORKING, Sku

SOURCES = {
    "AWS": "https://aws.amazon.com/pricing/",
    "Google Cloud": "https://cloud.google.com/pricing/list",
}
HOURS = 2.0  # for one run: half an hour of waiting for clusters, an hour of reading, half an hour of clean-up
_MONTH = 730  # hours
_TIMEOUT = 15  # seconds for AWS's prices, a call for each
Quantities = dict[Sku, float]


class Price(NamedTuple):
    """Dollars per unit, when that was last read, and where to find today's price.

    An hour is billed by the second; an "hour or part" as a whole hour. The other units are per run.
    """

    cloud: str
    what: str
    number: float
    unit: str
    each: float
    seen: str
    source: Product | Quantities | None = None

    def dollars(self, hours: float) -> float:
        """The sum for a run of that many hours."""
        amounts = {"hour": hours, "hour or part": math.ceil(hours)}
        return self.number * self.each * amounts.get(self.unit, 1)


_ALB, _CLASSIC = ((("productFamily", f"Load Balancer{kind}"),) for kind in ("-Application", ""))
_LINUX = (
    ("operatingSystem", "Linux"), ("preInstalledSw", "NA"), ("tenancy", "Shared"), ("capacitystatus", "Used"),
)  # fmt: skip
# By the hour or by the second: https://aws.amazon.com/vpc/pricing/, …/elasticloadbalancing/pricing/; for EKS
# usage reports, which have fractions of hours. Amounts of data are generous.
_AWS = (
    Price("AWS", "EKS cluster, in standard support", 1, "hour", 0.10, "2026-04",
          Product("AmazonEKS", "AmazonEKS-Hours:perCluster")),
    Price("AWS", f"node, {node_group.INSTANCE_TYPE}", 1, "hour", 0.0832, "2025",
          Product("AmazonEC2", f"BoxUsage:{node_group.INSTANCE_TYPE}", _LINUX)),
    Price("AWS", "node disk, 20 GB", 1, "hour", 0.0022, "2025",
          Product("AmazonEC2", "EBS:VolumeUsage.gp3", share=20 / _MONTH)),
    Price("AWS", "NAT gateway", 1, "hour or part", 0.045, "2026-09",
          Product("AmazonEC2", "NatGateway-Hours")),
    Price("AWS", "data processed", 2, "GB", 0.045, "2026-09", Product("AmazonEC2", "NatGateway-Bytes")),
    Price("AWS", "application load balancer", 1, "hour or part", 0.0225, "2026-09",
          Product("AWSELB", "LoadBalancerUsage", _ALB)),
    Price("AWS", "capacity units, at most", 1, "hour or part", 0.008, "2026-09",
          Product("AWSELB", "LCUUsage", _ALB)),
    Price("AWS", "load balancer of the ingress gateway", 1, "hour or part", 0.025, "2026-09",
          Product("AWSELB", "LoadBalancerUsage", _CLASSIC)),
    Price("AWS", "data processed", 1, "GB", 0.008, "2026-09",
          Product("AWSELB", "DataProcessing-Bytes", _CLASSIC)),
    Price("AWS", "public IPv4 addresses", 4, "hour", 0.005, "2026-02",
          Product("AmazonVPC", "PublicIPv4:InUseAddress")),
    Price("AWS", "logs, and the first month of a hosted zone", 1, "run", 0.60, "2025"),
)  # fmt: skip


def _google() -> tuple[Price, ...]:
    """A monthly credit of 74.40 dollars covers one zonal cluster per billing account."""
    nodes, kind = gcp.zones(), "Zonal" if gcp.zones() == 1 else "Regional"
    core, memory = Sku(COMPUTE, "E2 Instance Core"), Sku(COMPUTE, "E2 Instance Ram")
    disk = {Sku(COMPUTE, "Balanced PD Capacity"): gke.NODE_DISK / _MONTH}
    return (
        Price("Google Cloud", "GKE cluster", 1, "hour", 0.10, "2026-09",
              {Sku(KUBERNETES, f"{kind} Kubernetes Clusters"): 1}),
        Price("Google Cloud", f"node, {gke.MACHINE_TYPE}", nodes, "hour", 0.067, "2025",
              {core: gke.NODE_CPUS, memory: gke.NODE_MEMORY}),
        Price("Google Cloud", f"node disk, {gke.NODE_DISK} GB", nodes, "hour", 0.0137, "2025", disk),
        Price("Google Cloud", "Cloud NAT, for one node", nodes, "hour", 0.0014, "2026-10"),
        Price("Google Cloud", "data processed", 1, "GB", 0.045, "2026-10",
              {Sku(NETWORKING, "Networking Cloud Nat Data Processing"): 1}),
        Price("Google Cloud", "public IPv4 address", 1, "hour", 0.005, "2026-10",
              {Sku(NETWORKING, "Networking Cloud NAT IP Usage"): 1}),
    )  # fmt: skip


def prices() -> tuple[Price, ...]:
    """All items; the clouds are queried once per process."""
    settings = current()
    return _prices(
        settings.AWS_ENDPOINT_URL, settings.AWS_REGION,
        settings.GOOGLE_CLOUD_PROJECT, settings.GOOGLE_CLOUD_LOCATION, *gcp.overridden(),
    )  # fmt: skip


@functools.lru_cache(maxsize=8)
def _prices(*_: str | None) -> tuple[Price, ...]:
    return (*_today(_AWS, _of_aws, "Price List API"), *_today(_google(), _of_google, "Cloud Billing Catalog"))


def _today(
    table: tuple[Price, ...], ask: Callable[[tuple[Price, ...]], Iterable[float | None]], source: str
) -> tuple[Price, ...]:
    """The items with the prices that a cloud provides."""
    found: list[float | None] = []
    with suppress(TutorialError):  # no permission, no response, or not the cloud itself: use the table
        for price in ask(table):
            found.append(price)
    seen = f"{datetime.now(UTC):%Y-%m-%d}, {source}"
    today = [
        old._replace(each=new, seen=seen) if new else old for old, new in zip(table, found, strict=False)
    ]
    return (*today, *table[len(today) :])


def _of_aws(table: tuple[Price, ...]) -> Iterable[float | None]:
    deadline = time.monotonic() + _TIMEOUT
    for each in table:
        if time.monotonic() > deadline:
            return
        yield price_list.price(each.source) if isinstance(each.source, Product) else None


def _of_google(table: tuple[Price, ...]) -> Iterable[float | None]:
    if gcp.overridden():
        return
    asked = [each.source if isinstance(each.source, dict) else {} for each in table]
    told = billing_catalog.prices({sku for quantities in asked for sku in quantities})
    for quantities in asked:
        complete = quantities.keys() <= told.keys()
        yield sum(told[sku] * number for sku, number in quantities.items()) if complete else None


def per_hour() -> float:
    """US dollars per hour while everything exists."""
    return round(sum(price.dollars(1) for price in prices() if price.unit.startswith("hour")), 2)


def per_run(hours: float = HOURS) -> float:
    """US dollars for one run, from the first notebook to the end of the clean-up."""
    return round(sum(price.dollars(hours) for price in prices()), 2)


def table() -> show.Table:
    """The items and their totals."""
    rows = [
        {
            "cloud": price.cloud,
            "item": price.what,
            "quantity": f"{price.number:g}",
            "per": price.unit,
            "USD": f"{price.number * price.each:.4f}",
            "price as of": price.seen,
        }
        for price in prices()
    ]
    sums = (("hour", per_hour()), (f"run of {HOURS:g} hours", per_run()))
    totals = [
        {
            "cloud": "",
            "item": "total",
            "quantity": "",
            "per": unit,
            "USD": f"{dollars:.2f}",
            "price as of": "",
        }
        for unit, dollars in sums
    ]
    return show.table([*rows, *totals])

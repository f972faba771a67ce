"""What a run costs on real accounts, roughly: US dollars without taxes, in us-east-1 and us-central1."""

from typing import NamedTuple

from helpers import show

SOURCES = {
    "AWS": "https://aws.amazon.com/pricing/",
    "Google Cloud": "https://cloud.google.com/pricing/list",
}
HOURS = 2  # for one run: half an hour of waiting for clusters, an hour of reading, half an hour of clean-up
EXTRAS = 1.0  # dollars a run for what is not paid by the hour: images through NAT, logs, a zone's first month


class Price(NamedTuple):
    """Dollars per hour for one, and when that was last seen in a price list."""

    cloud: str
    what: str
    number: int
    each: float
    seen: str


PRICES = (
    Price("AWS", "EKS cluster, in standard support", 1, 0.10, "2026-04"),
    Price("AWS", "node, t3.large", 1, 0.0832, "2025"),
    Price("AWS", "its disk, 20 GB", 1, 0.0022, "2025"),
    Price("AWS", "NAT gateway", 1, 0.045, "2026-02"),
    Price("AWS", "application load balancer", 1, 0.0225, "2025"),
    Price("AWS", "load balancer of the ingress gateway", 1, 0.025, "2025"),
    Price("AWS", "public IPv4 addresses", 4, 0.005, "2026-02"),
    # A monthly credit of 74.40 dollars pays for one zonal cluster of a billing account.
    Price("Google Cloud", "GKE cluster", 1, 0.10, "2026"),
    Price("Google Cloud", "node, e2-standard-2", 1, 0.067, "2025"),
    Price("Google Cloud", "its disk, 100 GB", 1, 0.0137, "2025"),
    Price("Google Cloud", "Cloud NAT, for one node", 1, 0.0014, "2025"),
    Price("Google Cloud", "its public IPv4 address", 1, 0.005, "2026"),
)


def per_hour() -> float:
    """US dollars for each hour that everything exists."""
    return round(sum(price.number * price.each for price in PRICES), 2)


def per_run() -> float:
    """US dollars for one run from the first notebook to an empty listing."""
    return round(per_hour() * HOURS + EXTRAS, 2)


def table() -> show.Table:
    """What is paid for by the hour, and the sum."""
    rows = [
        {
            "cloud": price.cloud,
            "what": price.what,
            "number": price.number,
            "USD per hour": f"{price.number * price.each:.4f}",
            "price as of": price.seen,
        }
        for price in PRICES
    ]
    total = {"cloud": "", "what": "sum", "number": "", "USD per hour": f"{per_hour():.2f}", "price as of": ""}
    return show.table([*rows, total])

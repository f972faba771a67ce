"""What a run costs on real accounts, roughly. In us-east-1 and us-central1, US dollars, without taxes."""

from helpers import show

DATE = "2025"  # when these were last read; both clouds change them now and then
SOURCES = {
    "AWS": "https://aws.amazon.com/pricing/",
    "Google Cloud": "https://cloud.google.com/products/calculator",
}
# cloud, what, how many, dollars per hour for one (on demand)
PRICES = (
    ("AWS", "EKS cluster", 1, 0.10),
    ("AWS", "node, t3.large", 1, 0.0832),
    ("AWS", "NAT gateway", 1, 0.045),
    ("AWS", "application load balancer", 1, 0.0225),
    ("AWS", "load balancer of the ingress gateway", 1, 0.025),
    ("AWS", "public IPv4 addresses", 4, 0.005),
    ("Google Cloud", "GKE cluster", 1, 0.10),
    ("Google Cloud", "node, e2-standard-2", 1, 0.067),
)


def per_hour() -> float:
    """US dollars for each hour that everything exists; data, requests and logs are cents."""
    return round(sum(count * price for _, _, count, price in PRICES), 2)


def table() -> show.Table:
    """What is paid for by the hour, and the sum."""
    rows = [
        {"cloud": cloud, "what": what, "number": count, "USD per hour": f"{count * price:.3f}"}
        for cloud, what, count, price in PRICES
    ]
    rows.append({"cloud": "", "what": f"sum ({DATE})", "number": "", "USD per hour": f"{per_hour():.2f}"})
    return show.table(rows)

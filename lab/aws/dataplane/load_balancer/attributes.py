"""A load balancer's attributes: which there are, and those that its listeners obey.

https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_LoadBalancerAttribute.html
"""

from collections.abc import Mapping
from dataclasses import dataclass

Allowed = tuple[str, ...] | range | None  # some words, a number of a range, any text
_BOOLEAN = ("true", "false")
# The default, and what may be set.
KNOWN: dict[str, tuple[str, Allowed]] = {
    "access_logs.s3.bucket": ("", None),
    "access_logs.s3.enabled": ("false", _BOOLEAN),
    "access_logs.s3.prefix": ("", None),
    "client_keep_alive.seconds": ("3600", range(60, 604800 + 1)),
    "connection_logs.s3.bucket": ("", None),
    "connection_logs.s3.enabled": ("false", _BOOLEAN),
    "connection_logs.s3.prefix": ("", None),
    "deletion_protection.enabled": ("false", _BOOLEAN),
    "health_check_logs.s3.bucket": ("", None),
    "health_check_logs.s3.enabled": ("false", _BOOLEAN),
    "health_check_logs.s3.prefix": ("", None),
    "idle_timeout.timeout_seconds": ("60", range(1, 4000 + 1)),
    "ipv6.deny_all_igw_traffic": ("false", _BOOLEAN),
    "load_balancing.cross_zone.enabled": ("true", ("true",)),
    "routing.http.desync_mitigation_mode": ("defensive", ("monitor", "defensive", "strictest")),
    "routing.http.drop_invalid_header_fields.enabled": ("false", _BOOLEAN),
    "routing.http.preserve_host_header.enabled": ("false", _BOOLEAN),
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": ("false", _BOOLEAN),
    "routing.http.xff_client_port.enabled": ("false", _BOOLEAN),
    "routing.http.xff_header_processing.mode": ("append", ("append", "preserve", "remove")),
    "routing.http2.enabled": ("true", _BOOLEAN),
    "waf.fail_open.enabled": ("false", _BOOLEAN),
    "zonal_shift.config.enabled": ("false", _BOOLEAN),
}
OF_NETWORK_LOAD_BALANCERS = {"dns_record.client_routing_policy", "secondary_ips.auto_assigned.per_subnet"}


def defaults(scheme: str) -> dict[str, str]:
    """All attributes as a new load balancer has them."""
    internal = str(scheme == "internal").lower()
    return {key: default for key, (default, _) in KNOWN.items()} | {"ipv6.deny_all_igw_traffic": internal}


@dataclass(frozen=True)
class Attributes:
    """What listeners obey, with AWS's defaults."""

    idle_timeout: float = 60  # seconds
    http2: bool = True
    drop_invalid_header_fields: bool = False
    tls_version_and_cipher_suite: bool = False
    xff_client_port: bool = False
    xff_header_processing: str = "append"

    @classmethod
    def of(cls, values: Mapping[str, str]) -> "Attributes":
        """From the texts that DescribeLoadBalancerAttributes shows, all of them."""
        http = {key.removeprefix("routing.http."): value for key, value in values.items()}
        return cls(
            idle_timeout=int(values["idle_timeout.timeout_seconds"]),
            http2=values["routing.http2.enabled"] == "true",
            drop_invalid_header_fields=http["drop_invalid_header_fields.enabled"] == "true",
            tls_version_and_cipher_suite=http["x_amzn_tls_version_and_cipher_suite.enabled"] == "true",
            xff_client_port=http["xff_client_port.enabled"] == "true",
            xff_header_processing=http["xff_header_processing.mode"],
        )

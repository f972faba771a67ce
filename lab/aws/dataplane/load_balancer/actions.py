"""What a listener does with a request.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-action-types.html
"""

from dataclasses import dataclass

from lab.aws.dataplane.load_balancer.target_group import TargetGroup


@dataclass(frozen=True)
class Forward:
    """To a target group."""

    target_group: TargetGroup


@dataclass(frozen=True)
class FixedResponse:
    """An answer of the balancer's own."""

    status: int
    content_type: str = "text/plain"
    body: str = ""


@dataclass(frozen=True)
class Redirect:
    """301 or 302; the parts may hold #{protocol}, #{host}, #{port}, #{path} and #{query}."""

    status: int
    protocol: str = "#{protocol}"
    host: str = "#{host}"
    port: str = "#{port}"
    path: str = "/#{path}"
    query: str = "#{query}"


Action = Forward | FixedResponse | Redirect

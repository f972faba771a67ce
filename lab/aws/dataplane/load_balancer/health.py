"""Health checks of a lambda target: the rules, without timing.

States and reason codes: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetHealth.html
Settings: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class HealthCheck:
    """Settings of a target group of type lambda, with AWS's defaults. Times in seconds."""

    enabled: bool = False
    path: str = "/"
    interval: float = 35
    timeout: float = 30
    healthy_threshold: int = 5
    unhealthy_threshold: int = 5
    matcher: str = "200"

    def matches(self, status: int) -> bool:
        """Whether the matcher ("200", "200,202" or "200-299") includes this status code."""
        for part in self.matcher.split(","):
            low, _, high = part.partition("-")
            if int(low) <= status <= int(high or low):
                return True
        return False


@dataclass(frozen=True)
class TargetHealth:
    """As in describe-target-health; reason and description are None if AWS omits them."""

    state: str
    reason: str | None = None
    description: str | None = None


NOT_IN_USE = TargetHealth(
    "unused", "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer"
)
NOT_REGISTERED = TargetHealth(
    "unused", "Target.NotRegistered", "Target is not registered to the target group"
)
DISABLED = TargetHealth("unavailable", "Target.HealthCheckDisabled", "Health checks are disabled")
REGISTERING = TargetHealth("initial", "Elb.RegistrationInProgress", "Target registration is in progress")
CHECKING = TargetHealth("initial", "Elb.InitialHealthChecking", "Initial health checks in progress")
HEALTHY = TargetHealth("healthy")
TIMED_OUT = TargetHealth("unhealthy", "Target.Timeout", "Request timed out")
MALFORMED = TargetHealth("unhealthy", "Target.FailedHealthChecks", "Health checks failed")


def mismatch(status: int) -> TargetHealth:
    """The target's status code is not in the matcher."""
    return TargetHealth(
        "unhealthy", "Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{status}]"
    )


class Streak:
    """The latest results of checks: how many consecutive ones were equal."""

    def __init__(self) -> None:
        self.passed, self.count = True, 0

    def add(self, passed: bool) -> None:
        self.count = self.count + 1 if passed == self.passed else 1
        self.passed = passed


class HealthCount:
    """Consecutive results of checks, and the resulting state.

    A new target is healthy after its first success; an unhealthy one after `healthy_threshold` successes in a
    row. A healthy one becomes unhealthy after `unhealthy_threshold` failures in a row.
    """

    def __init__(self) -> None:
        self.health = REGISTERING
        self._streak = Streak()

    def add(self, failure: TargetHealth | None, settings: HealthCheck) -> None:
        """Record one check: None is a success, otherwise the unhealthy state."""
        ok = failure is None
        self._streak.add(ok)
        count = self._streak.count
        state = self.health.state
        if ok and (state == "initial" or count >= settings.healthy_threshold):
            self.health = HEALTHY
        elif failure and (state == "unhealthy" or count >= settings.unhealthy_threshold):
            self.health = failure
        elif state == "initial":
            self.health = CHECKING

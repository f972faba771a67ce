"""A target group of type lambda: one function, its attributes and its health."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout

from lab.aws.dataplane.functions import Result
from lab.aws.dataplane.load_balancer import health
from lab.aws.dataplane.load_balancer.events import InvalidResponseError, health_check_event, response
from lab.aws.dataplane.load_balancer.health import HealthCheck, HealthCount, TargetHealth


class TargetGroup:
    """A listener forwards to it; changes apply from the next request.

    `invoke(payload)` calls the registered function and returns a Result; None: nothing is registered, and the
    load balancer answers with 503. `in_use` tells whether a listener forwards here.
    """

    def __init__(self, arn: str) -> None:
        self.arn = arn
        self.multi_value_headers = False
        self.invoke: Callable[[bytes], Result] | None = None
        self._in_use = False
        self._settings = HealthCheck()
        self._count = HealthCount()
        self._changed = threading.Condition()
        self._round = 0  # stops checks started before the last change
        self._closed = False

    def register(self, invoke: Callable[[bytes], Result]) -> None:
        """Register the function; its health is `initial` at first."""
        self._change(invoke=invoke)

    def deregister(self) -> None:
        self._change(invoke=None)

    def set_health_check(self, settings: HealthCheck) -> None:
        """Replace the settings; only enabling or disabling checks resets the health."""
        with self._changed:
            anew = settings.enabled != self._settings.enabled
            self._settings = settings
        if anew:
            self._change()

    def set_in_use(self, in_use: bool) -> None:
        """Whether a listener forwards to this group; AWS checks only then."""
        if in_use != self._in_use:
            self._change(_in_use=in_use)

    def close(self) -> None:
        """Stop the checks."""
        self._change(_closed=True)

    def health(self) -> TargetHealth:
        """The state of the registered function, with AWS's reason code and description."""
        with self._changed:
            if self.invoke is None:
                return health.NOT_REGISTERED
            if not self._in_use:
                return health.NOT_IN_USE
            if not self._settings.enabled:
                return health.DISABLED
            return self._count.health

    def _change(self, **values) -> None:
        with self._changed:
            for name, value in values.items():
                setattr(self, name, value)
            self._round += 1
            self._count = HealthCount()
            self._changed.notify_all()
            if self._checked():
                threading.Thread(
                    target=self._check_forever, args=(self._round,), name="health", daemon=True
                ).start()

    def _checked(self) -> bool:
        return bool(self.invoke and self._in_use and self._settings.enabled and not self._closed)

    def _check_forever(self, round_: int) -> None:
        with ThreadPoolExecutor(1, "health-check") as pool:
            while self._round == round_:
                failure = self._check(pool)
                with self._changed:
                    if self._round == round_:
                        self._count.add(failure, self._settings)
                        self._changed.wait_for(lambda: self._round != round_, self._settings.interval)

    def _check(self, pool: ThreadPoolExecutor) -> TargetHealth | None:
        settings, invoke, multi = self._settings, self.invoke, self.multi_value_headers
        if invoke is None:
            return health.MALFORMED
        try:
            event = health_check_event(self.arn, settings.path, multi)
            result = pool.submit(invoke, event).result(settings.timeout)
            status = response(result.payload, result.function_error, multi).status
        except FutureTimeout:
            return health.TIMED_OUT
        except InvalidResponseError:
            return health.MALFORMED
        except Exception:  # throttled, or the function is deleted: no answer
            return health.MALFORMED
        return None if settings.matches(status) else health.mismatch(status)

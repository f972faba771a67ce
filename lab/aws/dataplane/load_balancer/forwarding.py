"""One request, from the listener's action to the answer."""

import asyncio
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from lab.aws.dataplane.functions import FunctionNotFound, TooManyRequests
from lab.aws.dataplane.load_balancer import events, own_answers
from lab.aws.dataplane.load_balancer.actions import Action, FixedResponse, Forward
from lab.aws.dataplane.load_balancer.attributes import Attributes
from lab.aws.dataplane.load_balancer.events import LambdaError, Request, Response
from lab.aws.dataplane.load_balancer.headers import forwarded
from lab.aws.dataplane.load_balancer.target_group import TargetGroup

# Invocations block a thread each; Lambda's own limit on concurrency is far below.
_invocations = ThreadPoolExecutor(64, "alb-invoke")


@dataclass
class Exchange:
    """What happened to a request, in the access log's words. Times in seconds, -1 if no target got it."""

    request: Request
    trace_id: str
    started: float = field(default_factory=time.time)
    response: Response = field(default_factory=lambda: own_answers.page(500))
    actions: str = "-"
    target_group_arn: str = "-"
    target_status: str = "-"
    redirect_url: str = "-"
    error_reason: str = "-"
    request_time: float = -1
    target_time: float = -1


async def answer(request: Request, action: Callable[[], Action], attributes: Attributes) -> Exchange:
    """The answer to a request, and how it came about; never raises."""
    # https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-request-tracing.html
    received = request.header("x-amzn-trace-id") if events.size(request.headers) <= 7 * 1024 else None
    exchange = Exchange(request, events.trace_id(received))
    try:
        if status := own_answers.refusal(request):
            exchange.response = own_answers.page(status)
        else:
            exchange.response = await _act(exchange, action(), attributes)
    except Exception:  # a fault of the lab: the client gets the page for 500, the daemon's log the rest
        traceback.print_exc()
    return exchange


async def _act(exchange: Exchange, action: Action, attributes: Attributes) -> Response:
    if isinstance(action, Forward):
        exchange.actions = "forward"
        return await _forward(exchange, action.target_group, attributes)
    if isinstance(action, FixedResponse):
        exchange.actions = "fixed-response"
        return own_answers.fixed(action)
    exchange.actions = "redirect"
    exchange.redirect_url = own_answers.location(action, exchange.request)
    return own_answers.page(action.status, (("Location", exchange.redirect_url),))


async def _forward(exchange: Exchange, group: TargetGroup, attributes: Attributes) -> Response:
    request, multi, invoke = exchange.request, group.multi_value_headers, group.invoke
    exchange.target_group_arn = group.arn
    if own_answers.is_upgrade(request):
        return own_answers.page(400)
    if request.too_large:
        exchange.error_reason = "LambdaRequestTooLarge"
        return own_answers.page(413)
    if invoke is None:
        return own_answers.page(503)
    sent = time.time()
    try:
        headers = forwarded(request, exchange.trace_id, attributes)
        event = events.request_event(replace(request, headers=headers), group.arn, multi)
        result = await asyncio.get_running_loop().run_in_executor(_invocations, invoke, event)
        response = events.response(result.payload, result.function_error, multi)
    except Exception as error:
        exchange.error_reason = _reason_code(error)
        return own_answers.page(502)
    finally:
        exchange.request_time, exchange.target_time = sent - exchange.started, time.time() - sent
    exchange.target_status = str(response.status)
    # As seen on AWS: https://github.com/glassechidna/serverlessish/pull/4
    if not any(name.lower() == "server" for name, _ in response.headers):
        response.headers.insert(0, own_answers.SERVER)
    return response


def _reason_code(error: Exception) -> str:
    """The access log's error reason. All are 502 to the client: a throttled function, too.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html#http-502-issues
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html#error-reason-codes
    """
    if isinstance(error, LambdaError):
        return error.code
    if isinstance(error, TooManyRequests):
        return "LambdaThrottling"
    if isinstance(error, FunctionNotFound):
        return "LambdaResourceNotFound"
    if isinstance(error, PermissionError):
        return "LambdaAccessDenied"
    return "LambdaServiceException"

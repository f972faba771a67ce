"""Handles one request: from the listener to the answer."""

import asyncio
import re
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from lab.aws.dataplane.functions import FunctionNotFoundError, TooManyRequestsError
from lab.aws.dataplane.load_balancer import events, generated_responses
from lab.aws.dataplane.load_balancer.events import Headers, LambdaError, Request, Response
from lab.aws.dataplane.load_balancer.target_group import TargetGroup

# Invocations block a thread each; Lambda's own limit on concurrency is far below.
_invocations = ThreadPoolExecutor(64, "alb-invoke")
_VALID = re.compile("[-A-Za-z0-9]+")


@dataclass
class Exchange:
    """What happened to a request, in the access log's terms. Times in seconds, -1 if no target got it."""

    request: Request
    trace_id: str
    started: float = field(default_factory=time.time)
    response: Response = field(default_factory=lambda: generated_responses.page(500))
    forwarded: bool = False
    target_group_arn: str = "-"
    target_status: str = "-"
    error_reason: str = "-"
    request_time: float = -1
    target_time: float = -1


async def answer(request: Request, group: TargetGroup, drop_invalid_headers: bool) -> Exchange:
    """Answer a request and record how; never raises."""
    # https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-request-tracing.html
    received = request.header("x-amzn-trace-id") if events.size(request.headers) <= 7 * 1024 else None
    exchange = Exchange(request, events.trace_id(received))
    try:
        if status := generated_responses.refusal(request):
            exchange.response = generated_responses.page(status)
        else:
            exchange.response = await _forward(exchange, group, drop_invalid_headers)
    except Exception:  # a bug in the lab: the client gets a 500, the daemon's log the traceback
        traceback.print_exc()
    return exchange


async def _forward(exchange: Exchange, group: TargetGroup, drop_invalid_headers: bool) -> Response:
    request, multi, invoke = exchange.request, group.multi_value_headers, group.invoke
    exchange.forwarded, exchange.target_group_arn = True, group.arn
    if generated_responses.is_upgrade(request):
        return generated_responses.page(400)
    if request.too_large:
        exchange.error_reason = "LambdaRequestTooLarge"
        return generated_responses.page(413)
    if invoke is None:
        return generated_responses.page(503)
    sent = time.time()
    try:
        headers = _headers(request, exchange.trace_id, drop_invalid_headers)
        event = events.request_event(replace(request, headers=headers), group.arn, multi)
        result = await asyncio.get_running_loop().run_in_executor(_invocations, invoke, event)
        response = events.response(result.payload, result.function_error, multi)
    except Exception as error:
        exchange.error_reason = _reason_code(error)
        return generated_responses.page(502)
    finally:
        exchange.request_time, exchange.target_time = sent - exchange.started, time.time() - sent
    exchange.target_status = str(response.status)
    # As seen on AWS: https://github.com/glassechidna/serverlessish/pull/4
    if not any(name.lower() == "server" for name, _ in response.headers):
        response.headers.insert(0, generated_responses.SERVER)
    return response


def _headers(request: Request, trace_id: str, drop_invalid: bool) -> Headers:
    """The request's headers; the load balancer's own replace the client's.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html
    """
    before = [value for name, value in request.headers if name.lower() == "x-forwarded-for"]
    added = {
        "x-forwarded-for": ", ".join([*before, request.client]),
        "x-forwarded-port": str(request.port),
        "x-forwarded-proto": request.scheme,
        "x-amzn-trace-id": trace_id,
    }
    kept = [(name, value) for name, value in request.headers if name.lower() not in added]
    if drop_invalid:
        kept = [(name, value) for name, value in kept if _VALID.fullmatch(name)]
    return [*kept, *added.items()]


def _reason_code(error: Exception) -> str:
    """The access log's error reason. The client gets 502 for all of them, even for throttling.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html#http-502-issues
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html#error-reason-codes
    """
    if isinstance(error, LambdaError):
        return error.code
    if isinstance(error, TooManyRequestsError):
        return "LambdaThrottling"
    if isinstance(error, FunctionNotFoundError):
        return "LambdaResourceNotFound"
    if isinstance(error, PermissionError):
        return "LambdaAccessDenied"
    return "LambdaServiceException"

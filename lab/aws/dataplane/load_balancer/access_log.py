"""Access log entries in AWS's format, field by field.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html#access-log-entry-format
"""

import datetime
import time

from lab.aws.dataplane.load_balancer.connection import Connection
from lab.aws.dataplane.load_balancer.events import size
from lab.aws.dataplane.load_balancer.forwarding import Exchange

QUOTED = {
    "request",
    "user_agent",
    "trace_id",
    "domain_name",
    "chosen_cert_arn",
    "actions_executed",
    "redirect_url",
    "error_reason",
    "target:port_list",
    "target_status_code_list",
    "classification",
    "classification_reason",
    "transformed_host",
    "transformed_uri",
    "request_transform_status",
}


def line(name: str, connection: Connection, exchange: Exchange, status: int) -> str:
    """An entry in AWS's format. `name` is the load balancer's, `status` the client's."""
    fields = _fields(name, connection, exchange, status)
    return " ".join(_quote(str(value)) if key in QUOTED else str(value) for key, value in fields.items())


def _fields(name: str, connection: Connection, exchange: Exchange, status: int) -> dict:
    request, response = exchange.request, exchange.response
    finished = time.time()
    spent = exchange.request_time + exchange.target_time
    host = request.header("host") or f"{connection.server}:{request.port}"
    url = f"{request.scheme}://{host.partition(':')[0]}:{request.port}{request.target}"
    return {
        "type": "h2" if request.version == "HTTP/2.0" else request.scheme,
        "time": _time(finished),
        "elb": name,
        "client:port": connection.client_port,
        "target:port": "-",
        "request_processing_time": _seconds(exchange.request_time),
        "target_processing_time": _seconds(exchange.target_time),
        "response_processing_time": _seconds(
            finished - exchange.started - spent if exchange.target_time >= 0 else -1
        ),
        "elb_status_code": status,
        "target_status_code": exchange.target_status,
        "received_bytes": len(request.method + request.target)
        + 12
        + size(request.headers)
        + len(request.body),
        "sent_bytes": size(response.headers) + len(response.body) + len(response.reason) + 15,
        "request": f"{request.method} {url} {request.version}",
        "user_agent": (request.header("user-agent") or "-")[:8192],
        "ssl_cipher": connection.cipher,
        "ssl_protocol": connection.tls_version,
        "target_group_arn": exchange.target_group_arn,
        "trace_id": exchange.trace_id,
        "domain_name": connection.server_name,
        "chosen_cert_arn": connection.certificate_arn,
        "matched_rule_priority": 0 if exchange.forwarded else "-",
        "request_creation_time": _time(exchange.started),
        "actions_executed": "forward" if exchange.forwarded else "-",
        "redirect_url": "-",
        "error_reason": exchange.error_reason,
        "target:port_list": "-",
        "target_status_code_list": "-",
        "classification": "-",
        "classification_reason": "-",
        "conn_trace_id": connection.trace_id,
        "transformed_host": "-",
        "transformed_uri": "-",
        "request_transform_status": "-",
    }


def _quote(value: str) -> str:
    return '"' + value.replace('"', "%22") + '"'


def _time(moment: float) -> str:
    return datetime.datetime.fromtimestamp(moment, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _seconds(duration: float) -> str:
    return "-1" if duration < 0 else f"{duration:.3f}"

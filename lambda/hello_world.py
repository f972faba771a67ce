"""The article's function: it answers every request from the load balancer with one small page."""

import json
from pathlib import Path

PAGE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")


def lambda_handler(event, context):
    """Return a response in the format that a load balancer expects.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html
    """
    headers = event.get("headers") or {}
    # One line per request, so that a request can be found in the log group.
    print(json.dumps({"path": event.get("path"), "traceparent": headers.get("traceparent")}))
    return {
        "statusCode": 200,
        "statusDescription": "200 OK",
        "isBase64Encoded": False,
        "headers": {"Content-Type": "text/html; charset=utf-8"},
        "body": PAGE,
    }

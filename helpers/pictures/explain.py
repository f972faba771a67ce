"""Explanations of the codes of Envoy, the load balancer and curl."""

# https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage#response-flags-short
_FLAGS = {
    "DC": "the caller closed the connection before the response",
    "DI": "delayed on purpose, by fault injection",
    "DF": "the name of the next hop could not be resolved",
    "DO": "dropped, because Envoy is overloaded",
    "DPE": "the caller violated the HTTP protocol",
    "DT": "the request, or its connection, lasted longer than allowed",
    "FI": "refused on purpose, by fault injection",
    "IH": "a strictly checked header has an invalid value",
    "LH": "the local service failed a health check",
    "LR": "Envoy reset the connection to the next hop itself",
    "NC": "there is no such cluster: the route leads to a destination that this Envoy does not know",
    "NFCF": "a filter's configuration did not arrive in time",
    "NR": "no route, or no listener, for this request",
    "OM": "Envoy's overload manager ended the request",
    "RL": "too many requests: Envoy's own rate limit",
    "RLSE": "the rate limit service did not answer",
    "SI": "the stream was idle for too long",
    "UAEX": "the external authorization service refused it",
    "UC": "the next hop closed the connection before it answered",
    "UF": "no connection to the next hop",
    "UH": "the next hop has no healthy address",
    "UMSDR": "the request to the next hop lasted longer than allowed",
    "UO": "too many connections or requests for the next hop: the circuit breaker is open",
    "UPE": "the next hop's response is not HTTP",
    "UR": "the next hop reset the request",
    "URX": "the retry limit was reached",
    "UT": "the next hop did not answer in time",
}
# After these, the next hop may still have received the request.
_SENT = {"DC", "DT", "SI", "UMSDR", "UR", "UT"}

# https://curl.se/docs/manpage.html#EXIT
_EXIT_CODES = {
    6: "the name could not be resolved",
    7: "nothing accepts connections there",
    28: "no packet came back in time",
    52: "the connection was closed without a response",
    58: "curl could not use its own certificate",
    60: "curl did not accept the certificate that was presented",
    77: "curl could not read the CA's certificate",
}
STRAYED = "something in the caller's own network has the same private address, and answered"
_CURLS_OWN = {1, 2, 3, 5, 6, 58, 60, 77}

# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html
_BALANCER = {
    "LambdaAccessDenied": "it is not allowed to invoke the function",
    "LambdaConnectionTimeout": "the function could not be invoked in time",
    "LambdaInvalidResponse": "the function returned no valid response",
    "LambdaResponseTooLarge": "the function's response is larger than 1 MB",
    "LambdaThrottling": "the function has too many concurrent invocations",
    "LambdaUnhandled": "the function failed",
    "RequestLambdaEventTooLarge": "the request is too large for an event",
}


def envoy(flags: str, details: str, failure: str) -> str:
    """Why an Envoy answered by itself: its response flags in words, its details, and what TLS said."""
    words = [f"{flag}: {_FLAGS.get(flag, 'a response flag')}" for flag in flags.split(",") if flag != "-"]
    return "; ".join([*words, *(said for said in (details, failure) if said)])


def may_have_been_sent(flags: str) -> bool:
    """Whether the next hop may have received a request although this Envoy gave up on it."""
    return bool(_SENT & set(flags.split(",")))


def balancer(code: str) -> str:
    """Why a load balancer answered by itself."""
    if code in ("-", ""):
        return "its own response"
    return f"{code}: {_BALANCER.get(code, 'see the access log')}"


def curl(exit_code: int, error: str, tls: bool) -> str:
    """Why curl has no response. With TLS, one of three codes, depending on which packet arrives first."""
    words = _EXIT_CODES.get(exit_code, "")
    if exit_code in (35, 55, 56):
        ended = "in the TLS handshake or right after it" if tls else "without a response"
        words = f"the connection was closed {ended}"
    return f"{words}; curl: ({exit_code}) {error}".removeprefix("; ")


def is_curls_own(exit_code: int) -> bool:
    """Whether curl itself gave up, so that no hop refused the request."""
    return exit_code in _CURLS_OWN

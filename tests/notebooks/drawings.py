"""The pictures in notebooks/images that show no state: who is rejected, what an object is for, an order."""

from collections.abc import Sequence

from helpers.pictures.steps import STEPS, draw_steps
from helpers.pictures.svg import Picture

_ROW = 258  # the row of the gateways, and of the arrows between them
_HOPS = (
    ("curl → sidecar", "plain HTTP, inside the pod, over loopback"),
    ("sidecar → egress gateway", "mTLS; both certificates are from istiod of the GKE mesh"),
    ("egress gateway → ingress gateway", "mTLS over the internet; both certificates are from our own CA"),
    ("ingress gateway → load balancer", "TLS; the load balancer presents a certificate, the gateway none"),
    ("load balancer → function", "AWS invokes the function with the request as an event"),
)


def all_drawings() -> dict[str, Picture]:
    """Each picture by its file name."""
    return {
        "00-overview": _overview(),
        "01-listeners": _listeners(),
        "04-mtls": _mtls(),
        "05-connect": _connect(),
        "06-request": _request(),
        "99-clean-up": _clean_up(),
    }


def thing(
    picture: Picture, place: tuple[float, float, float, float], *lines: str, kind: str = "thing"
) -> None:
    """A box with its name and more lines; a line that starts with ` is code."""
    x, y, width, height = place
    picture.box(x, y, width, height, kind)
    top = y + height / 2 - 9 * (len(lines) - 1) + 5
    for number, line in enumerate(lines):
        style = "mono" if line.startswith("`") else "note" if number else "head"
        picture.text(x + width / 2, top + 18 * number, line.lstrip("`"), f"{style} mid")


def frame(
    picture: Picture,
    place: tuple[float, float, float, float],
    name: str,
    kind: str = "net",
    inset: float = 10,
) -> None:
    picture.box(*place, kind, 10)
    picture.text(place[0] + inset, place[1] + 20, name, "head")


def numbered(hops: Sequence[tuple[str, str]]) -> str:
    """Hops, and what is said of each, as a picture's description."""
    return "; ".join(f"{number}. {hop}: {how}" for number, (hop, how) in enumerate(hops, 1))


def legend(picture: Picture, hops: Sequence[tuple[str, str]], top: float) -> None:
    """The same as rows, with the numbers that are in the picture."""
    for number, (hop, how) in enumerate(hops, 1):
        y = top + 28 * number
        picture.number(24, y - 5, number)
        picture.text(44, y, hop, "head")
        picture.text(350, y, how, "note")


def _strip(picture: Picture, here: str) -> None:
    draw_steps(picture, {number for number in STEPS if number < here}, here)


def _both_clouds(picture: Picture) -> None:
    """What the request passes through, with arrows."""
    frame(picture, (12, 60, 354, 262), "Google Cloud", "gcp", inset=28)
    frame(picture, (22, 92, 334, 220), "GKE cluster", inset=18)
    frame(picture, (452, 60, 496, 262), "AWS", "aws")
    frame(picture, (462, 92, 352, 220), "VPC", inset=28)
    picture.text(804, 112, "10.0.0.0/16", "mono end")
    frame(picture, (472, 124, 180, 178), "EKS cluster", inset=18)
    thing(picture, (32, 228, 120, 60), "sleep", "curl + sidecar")
    thing(picture, (202, 228, 146, 60), "egress gateway", "Envoy")
    thing(picture, (482, 228, 160, 60), "ingress gateway", "Envoy")
    thing(picture, (668, 212, 136, 92), "internal ALB", "`10.0.1.28", "`10.0.2.232", "`10.0.3.149")
    thing(picture, (830, 228, 108, 60), "Lambda", "function")
    for start, end in ((152, 202), (348, 482), (642, 668), (804, 830)):
        picture.arrow([(start, _ROW), (end, _ROW)])


def _overview() -> Picture:
    picture = Picture(
        "The whole picture",
        "A pod in a GKE cluster sends plain HTTP to its sidecar; the egress gateway sends it over the "
        "internet with mutual TLS to the ingress gateway of an EKS cluster in AWS, which sends it over "
        "TLS to an internal load balancer and the Lambda function. Numbers are the notebooks that "
        "create the parts.",
    )
    _strip(picture, "00")
    _both_clouds(picture)
    thing(picture, (120, 126, 140, 48), "istiod", "its own root CA")
    thing(picture, (482, 154, 160, 48), "istiod", "its own root CA")
    for start, end in (((150, 174), (110, 228)), ((232, 174), (262, 228)), ((562, 202), (562, 228))):
        picture.arrow([start, end], "dash", head=False)
    picture.text(409, 228, "internet", "note mid")
    picture.text(409, 248, "mTLS", "note mid good")
    for x, y, number in (
        (830, 228, 1), (668, 212, 1), (472, 124, 2), (22, 92, 3), (482, 228, 4), (202, 228, 5), (32, 228, 6)
    ):  # fmt: skip
        picture.number(x, y, number)
    picture.text(12, 348, "Two clusters and two independent meshes. They share only a small CA.", "note")
    picture.text(
        12,
        368,
        "Numbers are the notebooks that create the parts. Dashed: istiod configures an Envoy.",
        "note",
    )
    return picture


def _listeners() -> Picture:
    picture = Picture(
        "Two listeners, one target group",
        "The load balancer listens on port 80 for HTTP and on port 443 for HTTPS with a certificate from "
        "ACM; both forward everything to a target group of type lambda, in which the function is "
        "registered.",
    )
    frame(picture, (12, 12, 340, 154), "internal ALB")
    thing(picture, (24, 46, 316, 48), "listener HTTP : 80")
    thing(picture, (24, 106, 316, 48), "listener HTTPS : 443", "certificate from ACM for alb.<domain>")
    thing(picture, (500, 68, 170, 64), "target group", "type lambda")
    thing(picture, (776, 68, 172, 64), "Lambda function", "the only target")
    picture.arrow([(340, 70), (430, 70), (430, 90), (500, 90)])
    picture.arrow([(340, 130), (430, 130), (430, 110), (500, 110)])
    picture.arrow([(670, 100), (776, 100)])
    picture.text(426, 58, "forward all", "note mid")
    picture.text(723, 90, "invoke", "note mid")
    return picture


def _mtls() -> Picture:
    picture = Picture(
        "The ingress gateway accepts one kind of client",
        "The ingress gateway accepts TLS for lambda.external from clients that present a certificate from "
        "our own CA, and sends their requests to the load balancer over TLS. A client without a "
        "certificate, one with a certificate from another CA, and one that uses plain HTTP are refused.",
    )
    _strip(picture, "04")
    frame(picture, (12, 60, 288, 306), "Outside the VPC", "gcp")
    frame(picture, (372, 60, 576, 306), "AWS", "aws")
    frame(picture, (382, 92, 556, 264), "VPC")
    picture.text(928, 112, "10.0.0.0/16", "mono end")
    frame(picture, (392, 124, 382, 222), "EKS cluster")
    lines = ("Gateway", "`eastwestgateway", "VirtualService", "`vs-lambda")
    thing(picture, (434, 152, 160, 184), "ingress gateway", *lines, kind="new")
    thing(picture, (622, 152, 142, 52), "ServiceEntry", "`se-alb-ext", kind="new")
    thing(picture, (622, 284, 142, 52), "DestinationRule", "`dr-alb-ext", kind="new")
    thing(picture, (800, 214, 128, 60), "internal ALB", "to the function")
    picture.arrow([(594, 244), (800, 244)])
    picture.text(690, 234, "TLS, name verified", "note mid good")
    clients = ("our client certificate", "no certificate", "a stranger's certificate", "plain HTTP")
    for number, client in enumerate(clients):
        y = 154 + 47 * number
        thing(picture, (24, y, 264, 38), f"curl, {client}")
        if number:
            picture.arrow([(288, y + 19), (412, y + 19)], "no", head=False)
            picture.cross(412, y + 19)
        else:
            picture.arrow([(288, y + 19), (434, y + 19)])
    for number, line in enumerate(
        (
            "Gateway: port, host names, and certificates. VirtualService: where requests go.",
            "ServiceEntry: the load balancer's name and port. DestinationRule: TLS to it.",
            "The Secret mtls-credential: the gateway's key and certificate, and the CA of its clients.",
        )
    ):
        picture.text(12, 392 + 20 * number, line, "note")
    return picture


def _connect() -> Picture:
    picture = Picture(
        "From the pod to the other cloud, in two hops",
        "A VirtualService routes requests for lambda.external from the sidecar to the egress gateway with"
        " the mesh's mTLS, and from there to the ingress gateway in EKS with a client certificate from our "
        "own CA. Two DestinationRules define how to connect on each hop, a Gateway what the egress gateway "
        "listens for, and a ServiceEntry which endpoint the name has.",
    )
    _strip(picture, "05")
    frame(picture, (12, 60, 640, 374), "Google Cloud", "gcp")
    frame(picture, (22, 92, 620, 332), "GKE cluster")
    frame(picture, (760, 60, 188, 374), "AWS", "aws")
    name = "`direct-lambda-through-egress-gateway"
    thing(picture, (100, 122, 450, 48), "VirtualService", name, kind="new")
    thing(picture, (32, 200, 130, 60), "sleep", "curl + sidecar")
    thing(picture, (300, 200, 146, 60), "egress gateway", "client certificate")
    thing(picture, (772, 200, 164, 60), "ingress gateway", "EKS")
    picture.arrow([(162, 230), (300, 230)])
    picture.text(231, 220, "mesh mTLS", "note mid good")
    picture.arrow([(446, 230), (772, 230)])
    picture.text(545, 220, "mTLS with our CA", "note mid good")
    picture.text(706, 220, "internet", "note mid")
    objects = (
        (32, 138, ("DestinationRule", "`egressgateway-", "`for-lambda"), ("mesh mTLS to", "the gateway")),
        (182, 170, ("Gateway", "`istio-egressgateway"), ("the port and host", "that it listens for")),
        (364, 138, ("DestinationRule", "`dr-lambda-ext"), ("certificate, CA", "and SNI to use")),
        (514, 118, ("ServiceEntry", "`se-lambda-ext"), ("the host name", "and its address")),
    )
    for x, width, lines, purpose in objects:
        thing(picture, (x, 302, width, 68), *lines, kind="new")
        for number, words in enumerate(purpose):
            picture.text(x + width / 2, 392 + 18 * number, words, "note mid")
    for x, top, bottom in (
        (131, 170, 200),
        (373, 170, 200),
        (97, 260, 302),
        (326, 260, 302),
        (405, 260, 302),
    ):
        picture.arrow([(x, top), (x, bottom)], "dash", head=False)
    picture.arrow([(573, 302), (573, 230)], "dash", head=False)
    words = (
        "The application requests http://lambda.external. Its sidecar and the egress gateway handle all TLS."
    )
    picture.text(12, 460, words, "note")
    return picture


def _request() -> Picture:
    picture = Picture(
        "The path of one request",
        numbered(_HOPS),
    )
    _strip(picture, "06")
    _both_clouds(picture)
    for number, (x, y) in enumerate(((32, 228), (177, 236), (409, 236), (655, 236), (817, 236)), 1):
        picture.number(x, y, number)
    legend(picture, _HOPS, 328)
    return picture


def _clean_up() -> Picture:
    picture = Picture(
        "The order of deletion",
        "The Services of the gateways are deleted first, then the load balancer with its DNS record and "
        "certificate, the function, the clusters, and the network. At the end, the listing is empty.",
    )
    _strip(picture, "99")
    things = (
        ("Services", "of the gateways"),
        ("load balancer", "DNS, certificate"),
        ("function", "role, log group"),
        ("clusters", "EKS and GKE"),
        ("network", "subnets, VPC"),
        ("listing", "empty"),
    )
    for number, lines in enumerate(things):
        x = 12 + 160 * number
        thing(picture, (x, 66, 136, 60), *lines, kind="new" if lines[0] == "listing" else "thing")
        if number:
            picture.arrow([(x - 24, 96), (x, 96)])
    words = "Only what the notebooks created, found by its tag or its name, is deleted."
    picture.text(12, 154, words, "note")
    return picture

"""The pictures in notebooks/images for notebooks beyond the article: identities, captures, two APIs."""

from helpers.pictures.svg import Picture
from tests.notebooks.drawings import frame, legend, numbered, thing


def all_drawings() -> dict[str, Picture]:
    """Each picture by its file name."""
    return {
        "07-identities": who_may_call(),
        "09-captures": on_the_wire(),
        "13-two-apis": gateway_api(),
    }


_IDENTITIES = (
    ("sleep → egress gateway", "spiffe://cluster.local/ns/sleep/sa/sleep: allowed"),
    ("other → egress gateway", "spiffe://cluster.local/ns/sleep/sa/other: 403"),
    ("plain → egress gateway", "plain HTTP, no identity: the connection is closed"),
    ("egress gateway → ingress gateway", "spiffe://gke.example/ns/istio-egress/sa/egressgateway: allowed"),
    ("curl → ingress gateway", "client.lambda.external, second.lambda.external: 403"),
    ("ingress gateway → ALB", "no client certificate; the header XFCC describes the one from hop 4"),
)


def who_may_call() -> Picture:
    """07: who presents which identity on which hop, and which policy decides there."""
    picture = Picture(
        "Who presents which identity, and where each policy is",
        numbered(_IDENTITIES)
        + ". In GKE, a PeerAuthentication and the AuthorizationPolicy allow-nothing apply to the whole mesh, "
        "sleep-to-lambda to the egress gateway; in EKS, only-gke applies to the ingress gateway.",
    )
    _policies_in_gke(picture)
    _callers_in_gke(picture)
    _policy_in_eks(picture)
    picture.arrow([(427, 206), (647, 206)])
    picture.text(558, 192, "internet", "note mid")
    picture.text(547, 228, "mTLS, our CA", "note mid good")
    picture.arrow([(817, 206), (862, 206)])
    picture.arrow([(900, 228), (900, 288)])
    thing(picture, (500, 276, 96, 56), "curl", "same CA")
    picture.arrow([(596, 304), (634, 304)], "no", head=False)
    picture.cross(634, 304)
    for x, y, number in ((502, 186, 4), (500, 276, 5), (829, 186, 6)):
        picture.number(x, y, number)
    legend(picture, _IDENTITIES, 430)
    return picture


def _policies_in_gke(picture: Picture) -> None:
    frame(picture, (12, 12, 470, 412), "Google Cloud", "gcp")
    frame(picture, (22, 44, 450, 370), "GKE cluster")
    frame(picture, (32, 76, 430, 88), "Namespace istio-system: for the whole mesh")
    thing(picture, (42, 104, 200, 50), "PeerAuthentication", "`default", kind="new")
    thing(picture, (252, 104, 200, 50), "AuthorizationPolicy", "`allow-nothing", kind="new")
    thing(picture, (277, 184, 150, 148), "egress gateway", "accepts only the", "mesh's mTLS")
    thing(picture, (252, 354, 200, 50), "AuthorizationPolicy", "`sleep-to-lambda", kind="new")
    picture.arrow([(352, 354), (352, 332)], "dash", head=False)


def _callers_in_gke(picture: Picture) -> None:
    callers = (("sleep", "sidecar"), ("other", "sidecar"), ("plain", "no sidecar"))
    for number, (name, how) in enumerate(callers, 1):
        y = 132 + 52 * number
        thing(picture, (42, y, 110, 44), name, how)
        if number == 1:
            picture.arrow([(152, y + 22), (277, y + 22)])
        else:
            picture.arrow([(152, y + 22), (255, y + 22)], "no", head=False)
            picture.cross(255, y + 22)
        picture.number(184, y + 4, number)


def _policy_in_eks(picture: Picture) -> None:
    frame(picture, (612, 12, 336, 412), "AWS", "aws")
    frame(picture, (622, 44, 220, 370), "EKS cluster")
    thing(picture, (647, 184, 170, 148), "ingress gateway", "accepts certificates", "from our own CA")
    thing(picture, (632, 354, 200, 50), "AuthorizationPolicy", "`only-gke", kind="new")
    picture.arrow([(732, 354), (732, 332)], "dash", head=False)
    thing(picture, (862, 184, 76, 44), "ALB")
    thing(picture, (862, 288, 76, 44), "Lambda")


_PLACES = (
    "inside the sleep pod (lo)",
    "sleep pod (eth0)",
    "egress gateway (eth0)",
    "GKE node",
    "EKS node",
    "ingress gateway (eth0)",
)
_CAPTURED = (
    ("curl → sidecar", "plain HTTP", "1"),
    ("sidecar → egress gateway", "mTLS", "2, 3, 4"),
    ("egress gateway → AWS", "mTLS over the internet", "3, 4, 5; not in between"),
    ("AWS → ingress gateway", "the same mTLS", "5, 6"),
    ("ingress gateway → load balancer", "TLS", "5, 6"),
    ("load balancer → function", "inside AWS", "cannot be captured"),
)


def on_the_wire() -> Picture:
    """09: where packets are captured, and what of the path they show."""
    picture = Picture(
        "Six places to capture packets",
        "; ".join(f"{number}. {place}" for number, place in enumerate(_PLACES, 1))
        + ". Hops, how they are protected, and where they are captured: "
        + "; ".join(f"{hop}: {what}: {where}" for hop, what, where in _CAPTURED),
    )
    _path_with_places(picture)
    for number, place in enumerate(_PLACES, 1):
        x, y = 24 + 312 * ((number - 1) % 3), 262 + 28 * ((number - 1) // 3)
        picture.number(x, y - 5, number)
        picture.text(x + 20, y, place, "head")
    for x, words in ((12, "Hop"), (350, "Protocol"), (640, "Captured at")):
        picture.text(x, 336, words, "note")
    for number, (hop, what, where) in enumerate(_CAPTURED, 1):
        y = 336 + 26 * number
        picture.text(12, y, hop, "head")
        picture.text(350, y, what, "note")
        picture.text(640, y, where, "note bad" if where.startswith("cannot") else "note")
    return picture


def _path_with_places(picture: Picture) -> None:
    row = 156
    frame(picture, (12, 12, 424, 216), "Google Cloud", "gcp")
    frame(picture, (22, 44, 400, 174), "GKE node")
    frame(picture, (32, 76, 226, 132), "sleep pod")
    frame(picture, (524, 12, 424, 216), "AWS", "aws")
    frame(picture, (538, 44, 204, 174), "EKS node")
    for place, name in (
        ((42, 130, 56, 52), ("curl",)),
        ((164, 130, 80, 52), ("sidecar",)),
        ((298, 120, 98, 72), ("egress", "gateway")),
        ((584, 120, 98, 72), ("ingress", "gateway")),
        ((764, 130, 58, 52), ("ALB",)),
        ((866, 130, 74, 52), ("Lambda",)),
    ):
        picture.box(*place)
        x, y = place[0] + place[2] / 2, place[1] + place[3] / 2 + 5 - 9 * (len(name) - 1)
        for line, word in enumerate(name):
            picture.text(x, y + 18 * line, word, "head mid")
    for start, end in ((98, 164), (244, 298), (396, 584), (682, 764)):
        picture.arrow([(start, row), (end, row)])
    picture.arrow([(822, row), (866, row)], "dash")
    picture.text(480, 130, "internet", "note mid")
    for number, x in enumerate((131, 258, 396, 422, 538, 682), 1):
        picture.number(x, row - 22, number)


_BEFORE = (  # column, row, columns; kind, name, more
    (0, 0, 3, "VirtualService", "direct-lambda-through-egress-gateway"),
    (3, 0, 2, "VirtualService", "vs-lambda"),
    (0, 1, 1, "DestinationRule", "egressgateway-", "`for-lambda"),
    (1, 1, 1, "Gateway", "istio-egressgateway", "and IstioOperator"),
    (2, 1, 1, "DestinationRule", "dr-lambda-ext"),
    (3, 1, 1, "Gateway", "eastwestgateway", "and IstioOperator"),
    (4, 1, 1, "DestinationRule", "dr-alb-ext"),
    (0, 2, 3, "ServiceEntry", "se-lambda-ext"),
    (4, 2, 1, "ServiceEntry", "se-alb-ext"),
)
_AFTER = (
    (0, 0, 1, "HTTPRoute", "to-egress"),
    (1, 0, 2, "HTTPRoute", "to-lambda"),
    (3, 0, 2, "HTTPRoute", "lambda"),
    (0, 1, 1, "DestinationRule", "egress"),
    (1, 1, 1, "Gateway", "egress", "creates its Envoy"),
    (2, 1, 1, "DestinationRule", "lambda", "needs a Role"),
    (3, 1, 1, "Gateway", "ingress", "creates its Envoy"),
    (4, 1, 1, "BackendTLSPolicy", "alb"),
    (0, 2, 1, "ServiceEntry", "se-lambda-ext", "the article's"),
    (2, 2, 1, "ServiceEntry", "lambda"),
    (4, 2, 1, "ServiceEntry", "alb"),
)
_NEW = {"HTTPRoute", "Gateway", "BackendTLSPolicy"}  # the Gateway API's kinds


def gateway_api() -> Picture:
    """13: the objects of both APIs, above and below the place on the path that they configure."""
    left, step, width, middle = 22, 186, 172, 293
    picture = Picture(
        "The same path, with Istio's objects and with the Gateway API's",
        "Above the path from sleep to the load balancer are the article's objects: two VirtualServices, "
        "three DestinationRules, two Gateways, two ServiceEntries. Below are this notebook's: three "
        "HTTPRoutes, two Gateways, and a BackendTLSPolicy of the Gateway API; two DestinationRules and "
        "three ServiceEntries are still Istio's own.",
    )
    for top, name, objects in ((12, "The article", _BEFORE), (336, "This notebook", _AFTER)):
        frame(picture, (12, top, 936, 238), name)
        for column, row, columns, kind, *names in objects:
            place = (left + step * column, top + 30 + 68 * row, width + step * (columns - 1), 60)
            new = objects is _AFTER and kind in _NEW
            thing(picture, place, kind, f"`{names[0]}", *names[1:], kind="new" if new else "thing")
    thing(picture, (22, middle - 22, 90, 44), "sleep")
    thing(picture, (left + step, middle - 22, width, 44), "egress gateway")
    thing(picture, (left + 3 * step, middle - 22, width, 44), "ingress gateway")
    thing(picture, (848, middle - 22, 90, 44), "ALB")
    for start, end in ((112, 208), (380, 580), (752, 848)):
        picture.arrow([(start, middle), (end, middle)])
    picture.text(480, middle - 8, "internet", "note mid")
    for number, words in enumerate(
        (
            "Green: objects of the Gateway API. White: Istio's own; those below are still needed.",
            "Each object is above or below the gateways and hops that it configures.",
        )
    ):
        picture.text(12, 600 + 20 * number, words, "note")
    return picture

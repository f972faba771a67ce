"""The picture of a request's path: its text, the failed hop in red, bars to scale; it is safe to embed."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from helpers.pictures import hop
from helpers.pictures.hop import Hop
from helpers.pictures.request_path import RequestPath
from helpers.pictures.svg import Picture, width_of, wrapped
from tests.helpers.pictures import geometry

SVG = "{http://www.w3.org/2000/svg}"
URL = "http://lambda.external/hello-world"
EGRESS = "spiffe://cluster.local/ns/istio-egress/sa/istio-egressgateway-service-account"
SLEEP = "spiffe://cluster.local/ns/sleep/sa/sleep"
LOGGED = {"traceparent": "00-a-b-01"}
WAY = [
    Hop("curl", "GKE", "passed", "HTTP/1.1 200", seconds=0.100),
    Hop("sidecar", "GKE", "passed", "200", seconds=0.080, protocol="HTTP/1.1", entry=LOGGED),
    Hop("egress gateway", "GKE", "passed", "200", "", 0.07999, "10.8.0.4:8080", "10.8.0.4:8080", "HTTP/2",
        "TLSv1.3", EGRESS, SLEEP, LOGGED),
    Hop("ingress gateway", "EKS", "passed", "200", "", 0.040, "198.51.100.51:443", "10.0.1.68:8443",
        "HTTP/1.1", "TLSv1.3", "CN=lambda.external", "CN=client.lambda.external", LOGGED),
    Hop("load balancer", "VPC", "passed", "200", "", 0.021, "10.0.2.232:443", "", "HTTP/1.1", "TLSv1.3",
        "CN=alb.example.com", "", LOGGED),
    Hop("function", "AWS", "passed", "200", seconds=0.020, protocol="invoked by AWS", entry=LOGGED),
]  # fmt: skip


def failed_path() -> list[Hop]:
    """A request that fails because the egress gateway has no certificate."""
    why = "UC: closed <at once>; connection_termination"
    behind = [Hop(each.name, each.where) for each in WAY[3:]]
    return [*WAY[:2], replace(WAY[2], state="refused", status="503", why=why), *behind]


def drawn(hops: list[Hop], url: str = URL) -> ET.Element:
    return ET.fromstring(str(RequestPath(hops, url).picture))


def texts(root: ET.Element, kind: str = "") -> list[str]:
    found = root.iter(f"{SVG}text")
    return [each.text or "" for each in found if set(kind.split()) <= set(each.get("class", "").split())]


def boxes(root: ET.Element, kind: str) -> list[ET.Element]:
    return [each for each in root.iter(f"{SVG}rect") if each.get("class") == kind]


def test_each_hop_shows_address_protocol_and_certificates():
    said = texts(drawn(WAY))
    for words in (*(each.name for each in WAY), "198.51.100.51:443 → 10.0.1.68:8443", "HTTP/2 over TLSv1.3"):
        assert words in said
    assert "HTTP/1.1, not encrypted" in said
    assert "server: spiffe://…/ns/istio-egress/sa/istio-egressgateway-service-account" in said
    assert "client: CN=client.lambda.external" in said
    assert not boxes(drawn(WAY), "refused") and not boxes(drawn(WAY), "never")


def test_the_failed_hop_is_red_with_the_reason_and_later_hops_are_gray():
    root = drawn(failed_path())
    assert len(boxes(root, "refused")) == 1 and len(boxes(root, "never")) == 3
    assert texts(root, "head mid bad") == ["egress gateway"]
    assert "UC: closed <at once>;" in " ".join(texts(root, "note bad"))
    assert texts(root, "head faint").count("never reached") == 3
    assert RequestPath(failed_path(), URL).refused is not None
    assert RequestPath(WAY, URL).refused is None


def test_bars_are_to_scale_and_start_at_the_left():
    root = drawn(WAY)
    whole, own = boxes(root, "span"), boxes(root, "own")
    widths = [float(bar.get("width", 0)) for bar in (*whole, own[-1])]
    for each, width in zip(WAY, widths, strict=True):
        assert width == pytest.approx(widths[0] * (each.seconds or 0) / 0.1, abs=2)
    assert len({bar.get("x") for bar in (*whole, *own)}) == 1
    assert "80.0 ms" in texts(root), "the sidecar's own 0.01 ms are omitted"


@pytest.mark.parametrize("hops", ["passed", "refused"])
def test_no_text_is_truncated_small_or_out_of_its_box(hops):
    picture = str(RequestPath(WAY if hops == "passed" else failed_path(), URL).picture)
    assert geometry.faults(picture) == []


def test_a_tiny_bar_stays_visible_and_has_its_duration():
    hops = [*WAY[:5], Hop("function", "AWS", "passed", "200", seconds=0.00001, entry=LOGGED)]
    root = drawn(hops)
    assert min(float(bar.get("width", 0)) for bar in boxes(root, "own")) >= 2
    assert "0.0 ms" in texts(root)


def test_hops_without_measurements_show_no_time():
    hops = [
        *WAY[:4],
        Hop("load balancer", "VPC", "unknown", why="not in its log yet"),
        Hop("function", "AWS"),
    ]
    root = drawn(hops)
    assert "no log found" in texts(root) and len(boxes(root, "own")) == 3


def test_it_is_valid_xml_and_loads_and_runs_nothing():
    svg = str(RequestPath(failed_path(), "http://h/?a=\"<script>alert(1)</script>&b='").picture)
    root = ET.fromstring(svg)
    assert not list(root.iter(f"{SVG}script"))
    assert "<script>alert(1)</script>" in "".join(texts(root))
    assert not re.search(r"<script|<image|href=|url\((?!#)|@import|\son\w+=", svg)


def test_it_has_a_text_alternative():
    root = drawn(failed_path())
    named = (root.get("aria-labelledby") or "").split()
    assert root.get("role") == "img"
    assert named == [root.find(f"{SVG}{tag}").get("id") for tag in ("title", "desc")]  # type: ignore[union-attr]
    assert "refused by the egress gateway" in (root.findtext(f"{SVG}title") or "")


def test_two_pictures_on_a_page_share_no_ids_and_their_styles_are_scoped():
    one, other = str(RequestPath(WAY, URL).picture), str(RequestPath(failed_path(), URL).picture)
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (one, other)]
    assert ids[0] and ids[0].isdisjoint(ids[1])
    assert set(re.findall(r"url\(#([^)]+)\)", one)) <= ids[0]
    rules = re.findall(r"([^{}]+)\{[^{}]*\}", re.findall("<style>(.*?)</style>", one, re.S)[0])
    selectors = [part.strip() for rule in rules for part in rule.split("{")[-1].split(",")]
    assert len(selectors) > 30 and all(each.startswith("svg.mesh ") for each in selectors)


def test_dark_colors_are_for_screens_only():
    assert "@media screen and (prefers-color-scheme: dark)" in str(Picture("Title", "What is to be seen"))


def test_a_notebook_gets_html_an_image_and_text():
    forms = RequestPath(failed_path(), URL)._repr_mimebundle_()
    assert set(forms) == {"text/html", "image/svg+xml", "text/plain"}
    assert forms["image/svg+xml"] in forms["text/html"]
    assert "egress gateway: UC: closed <at once>; connection_termination" in forms["text/plain"]
    assert re.search(r"^load balancer \(VPC\) +never reached$", forms["text/plain"], re.M)


def test_the_time_of_a_hop_excludes_that_of_the_next():
    journey = RequestPath(WAY, URL)
    assert journey.own_seconds(WAY[0]) == pytest.approx(0.020)
    assert journey.own_seconds(WAY[5]) == pytest.approx(0.020)
    assert journey.own_seconds(Hop("curl", "GKE")) is None


def test_long_text_is_wrapped_without_losing_words():
    lines = wrapped(
        "upstream_reset_before_response_started{connection_termination} and so on", 120, mono=True
    )
    assert all(width_of(line, mono=True) <= 120 for line in lines)
    assert "".join(lines).replace(" ", "").endswith("{connection_termination}andsoon")


def test_a_certificate_is_named_by_its_subject_or_its_san():
    assert (
        hop.certificate({"upstream_subject": "CN=a", "upstream_uri_san": "spiffe://b/c"}, "upstream")
        == "CN=a"
    )
    assert (
        hop.certificate({"upstream_subject": None, "upstream_uri_san": "spiffe://b/c"}, "upstream")
        == "spiffe://b/c"
    )
    assert hop.certificate({}, "downstream") == ""
    assert hop.short("spiffe://cluster.local/ns/a/sa/b") == "spiffe://…/ns/a/sa/b"

"""The picture of chains: each certificate once, a signer above what it signed, nothing cut."""

import re
import xml.etree.ElementTree as ET

import pytest

from helpers.pictures.chain_picture import Certificate, Chain, chains

TEXT = "{http://www.w3.org/2000/svg}text"
ROOT, GKE, EKS = (
    Certificate("r", "Offline root"),
    Certificate("g", "Mesh CA of GKE"),
    Certificate("e", "Mesh CA"),
)
LONG = "spiffe://gke.example/ns/istio-egress/sa/istio-egressgateway-service-account"
GIVEN = [
    Chain("gke", (ROOT, GKE, Certificate("1", "spiffe://gke.example/ns/sleep/sa/sleep"))),
    Chain("gke", (ROOT, GKE, Certificate("2", LONG))),
    Chain("eks", (ROOT, EKS, Certificate("3", "spiffe://eks.example/ns/front/sa/front"))),
]


def texts(picture) -> list[tuple[float, float, str]]:
    found = ET.fromstring(str(picture)).iter(TEXT)
    return [(float(one.get("x", 0)), float(one.get("y", 0)), one.text or "") for one in found]


def test_each_certificate_is_drawn_once_and_whole():
    words = [text for *_, text in texts(chains(GIVEN, "Chains"))]
    assert [words.count(each.name) for each in (ROOT, GKE, EKS)] == [1, 1, 1]
    assert (words.count("root"), words.count("intermediate"), words.count("certificate")) == (1, 2, 3)
    assert LONG in "".join(words)


def test_a_signer_is_above_the_middle_of_what_it_signed():
    places = {text: (x, y) for x, y, text in texts(chains(GIVEN, "Chains"))}
    leaves = sorted(x for x, _, text in texts(chains(GIVEN, "Chains")) if text == "certificate")
    assert places["Mesh CA of GKE"][0] == pytest.approx((leaves[0] + leaves[1]) / 2, abs=0.01)
    assert places["Offline root"][1] < places["Mesh CA of GKE"][1]


def test_two_roots_of_the_same_name_are_two_boxes():
    own = [
        Chain(cloud, (Certificate(cloud, "O=cluster.local"), GIVEN[0].certificates[2]))
        for cloud in ("gke", "eks")
    ]
    own[1] = Chain("eks", (own[1].certificates[0], GIVEN[2].certificates[2]))
    assert [text for *_, text in texts(chains(own, "Before"))].count("O=cluster.local") == 2


def test_the_words_name_each_chain_from_its_end():
    assert repr(chains(GIVEN[:1], "One")) == (
        "One\nspiffe://gke.example/ns/sleep/sa/sleep ← Mesh CA of GKE ← Offline root"
    )
    assert re.search("mTLS with", str(chains(GIVEN, "Chains", "mTLS with")))

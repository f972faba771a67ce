"""Prices from the clouds' APIs, with documented responses, and the table that replaces missing ones."""

import json
import os
from collections.abc import Iterator

import pytest

from helpers import aws, cost, gcp
from helpers.base.settings import current, override
from helpers.gcp import billing_catalog
from lab.gcp.api.oauth import ServiceAccount
from tests.series.stand_in import StandIn, standing_in

GET = "AWSPriceListService.GetProducts"
COMPUTE = f"/v1/{billing_catalog.COMPUTE}/skus"


def product(usage: str, dollars: str) -> str:
    """https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_pricing_GetProducts.html"""
    dimension = {"beginRange": "0", "endRange": "Inf", "unit": "Hrs", "pricePerUnit": {"USD": dollars}}
    terms = {"OnDemand": {"A.B": {"priceDimensions": {"A.B.C": dimension}}}}
    return json.dumps({"product": {"attributes": {"usagetype": usage}}, "terms": terms})


def sku(description: str, nanos: int, *regions: str, usage: str = "OnDemand") -> dict:
    """https://cloud.google.com/billing/docs/reference/rest/v1/services.skus/list"""
    rates = [{"startUsageAmount": 0, "unitPrice": {"currencyCode": "USD", "units": "0", "nanos": nanos}}]
    pricing = [{"pricingExpression": {"usageUnit": "h", "tieredRates": rates}}]
    category = {"usageType": usage}
    return {
        "description": description,
        "category": category,
        "serviceRegions": regions,
        "pricingInfo": pricing,
    }


SKUS = [
    sku("E2 Instance Core running in Frankfurt", 9, "europe-west3"),
    sku("Spot Preemptible E2 Instance Core running in Americas", 9, "us-central1", usage="Preemptible"),
    sku("Regional Balanced PD Capacity", 9, "us-central1"),
    sku("E2 Instance Core running in Americas", 30_000_000, "us-central1"),
    sku("E2 Instance Ram running in Americas", 5_000_000, "us-central1"),
]


@pytest.fixture
def clouds(tmp_path, monkeypatch) -> Iterator[StandIn]:
    """Both clouds' price lists; Google Cloud's other APIs are unreachable."""
    with standing_in() as clouds:
        file = tmp_path / "settings.toml"
        file.write_text("")
        monkeypatch.setenv("TUTORIAL_SETTINGS", str(file))
        key_file = tmp_path / "key.json"
        ServiceAccount("p").write_credentials(key_file, f"{clouds.url}/token", (os.getuid(), os.getgid()))
        clouds.answers["/token"] = 200, {"access_token": "x", "expires_in": 3600, "token_type": "Bearer"}
        monkeypatch.setattr(billing_catalog, "URL", clouds.url)
        keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
        google = {"GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_APPLICATION_CREDENTIALS": str(key_file)}
        with override(AWS_ENDPOINT_URL=clouds.url, **keys, **google):
            cost._prices.cache_clear()
            yield clouds
        cost._prices.cache_clear()


def price(what: str) -> cost.Price:
    return next(each for each in cost.prices() if each.what == what)


def dated() -> list[str]:
    return [each.what for each in cost.prices() if "," not in each.seen]


def test_a_price_from_the_cloud_is_todays_and_names_its_source(clouds):
    clouds.answers[GET] = (
        200,
        {
            "PriceList": [
                product("USE1-TS-LoadBalancerUsage", "9"),
                product("LoadBalancerUsage", "0.03"),
                product("TS-LoadBalancerUsage", "9"),
            ]
        },
    )
    clouds.answers[COMPUTE] = 200, {"skus": SKUS}
    for other in (billing_catalog.KUBERNETES, billing_catalog.NETWORKING):
        clouds.answers[f"/v1/{other}/skus"] = 200, {}
    assert price("application load balancer").each == 0.03
    assert price("application load balancer").seen.endswith(", Price List API")
    node = price(f"node, {cost.gke.MACHINE_TYPE}")
    assert (round(node.each, 6), node.seen[10:]) == (2 * 0.03 + 8 * 0.005, ", Cloud Billing Catalog")
    assert {"NAT gateway", "node disk, 100 GB", "Cloud NAT, for one node"} <= set(dated())
    assert any('"us-east-1"' in body for body in clouds.bodies)


@pytest.mark.parametrize(
    "answer",
    [
        (400, {"__type": "UnsupportedOperation", "message": "The lab does not offer pricing"}),
        (200, "<html>"),
        (200, {"PriceList": ["{}", "[]"], "skus": [{"description": "E2 Instance Core"}]}),
        (200, {"PriceList": [], "skus": []}),
    ],
    ids=["refused", "not-json", "malformed", "empty"],
)
def test_without_prices_from_a_cloud_the_dated_table_is_used(clouds, answer):
    clouds.answers |= dict.fromkeys([GET, COMPUTE], answer)
    assert cost.prices() == (*cost._AWS, *cost._google())


def test_a_slow_cloud_times_out(clouds, monkeypatch):
    clouds.slow = 1.0
    monkeypatch.setitem(aws._ONCE, "read_timeout", 0.2)
    monkeypatch.setattr(billing_catalog, "_LIMIT", 0.4)
    aws._client.cache_clear()
    assert cost.prices() == (*cost._AWS, *cost._google())
    assert clouds.asked.count(GET) == 1
    aws._client.cache_clear()


def test_with_another_endpoint_googles_prices_are_not_queried(clouds):
    with override(CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE=f"{clouds.url}/compute/v1/"):
        cost.prices()
    assert not [path for path in clouds.asked if path.startswith("/v1/services")]


def test_started_hours_are_billed_in_full_and_sums_match_the_table():
    nat, node = (next(each for each in cost._AWS if each.what.startswith(word)) for word in ("NAT", "node"))
    assert nat.dollars(2.1) == pytest.approx(3 * nat.each)
    assert node.dollars(2.1) == pytest.approx(2.1 * node.each)
    assert cost.per_run(2.1) > cost.per_run(2)
    rows = cost.table().rows
    assert [row[4] for row in rows[-2:]] == [f"{cost.per_hour():.2f}", f"{cost.per_run():.2f}"]


def test_a_region_has_three_nodes_and_costs_more():
    zone = cost.per_hour()
    with override(GOOGLE_CLOUD_LOCATION="us-central1"):
        assert gcp.zones() == 3 and current().GOOGLE_CLOUD_LOCATION == "us-central1"
        assert cost.per_hour() > zone + 2 * 0.06

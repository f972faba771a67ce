"""Today's prices by Google's Cloud Billing Catalog, in US dollars without taxes.

https://cloud.google.com/billing/docs/reference/rest/v1/services.skus/list
"""

import re
import time
from collections.abc import Collection
from functools import partial
from typing import Any, NamedTuple

from helpers import gcp

URL = "https://cloudbilling.googleapis.com"
COMPUTE, KUBERNETES, NETWORKING = (
    f"services/{id_}" for id_ in ("6F81-5844-456A", "CCD8-9BF1-090E", "E505-1604-58F8")
)
_ALLOWED = "enable the Cloud Billing API; without it, the table's prices are used."
_FIELDS = "skus(description,category/usageType,serviceRegions,pricingInfo/pricingExpression),nextPageToken"
_PAGE = 5000  # Compute Engine has some ten pages
_LIMIT = 20.0  # seconds in all, and for one page half of it


class Sku(NamedTuple):
    """What is paid for, by its service and the beginning of its description."""

    service: str
    description: str


def prices(wanted: Collection[Sku]) -> dict[Sku, float]:
    """What each costs in the settings' region, as far as the catalog says it in time.

    Raises what `client.request` does.
    """
    found: dict[Sku, float] = {}
    deadline = time.monotonic() + _LIMIT
    for service in sorted({sku.service for sku in wanted}):
        if time.monotonic() > deadline:
            break
        missing = {sku for sku in wanted if sku.service == service}
        for page in gcp.pages(partial(_ask, service)):
            entries = page.get("skus", [])
            hits = [(sku, _dollars(each)) for sku in missing for each in entries if _is(each, sku)]
            found |= {sku: dollars for sku, dollars in hits if dollars}
            missing -= found.keys()
            if not missing or time.monotonic() > deadline:
                break
    return found


def _ask(service: str, **page: str) -> dict[str, Any]:
    from helpers.gcp import client

    return client.request(
        "Asking Google for its prices", "GET", f"{URL}/v1/{service}/skus", _ALLOWED,
        once=_LIMIT / 2, pageSize=str(_PAGE), fields=_FIELDS, **page,
    )  # fmt: skip


def _is(entry: dict[str, Any], sku: Sku) -> bool:
    """Whether that is the on-demand price in our region, whose name ends most descriptions."""
    here = {gcp.region(), "global"} & set(entry.get("serviceRegions", []))
    on_demand = entry.get("category", {}).get("usageType") == "OnDemand"
    name = re.fullmatch(rf"{re.escape(sku.description)}( running)?( in .+)?", entry.get("description", ""))
    return bool(here and on_demand and name)


def _dollars(entry: dict[str, Any]) -> float | None:
    """The price above the free amount, if there is one; None if the entry has another form."""
    try:
        rate = entry["pricingInfo"][-1]["pricingExpression"]["tieredRates"][-1]["unitPrice"]
        return int(rate.get("units") or 0) + float(rate.get("nanos") or 0) / 1e9
    except (AttributeError, LookupError, TypeError, ValueError):
        return None

"""Today's prices from AWS's Price List API, in US dollars without taxes.

https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_pricing_GetProducts.html
"""

import json
import re
from typing import Any, NamedTuple

from helpers import aws
from helpers.base.settings import current

_REGION = "us-east-1"  # one of three regions with this API; it has the prices of all


class Product(NamedTuple):
    """A product, by its usage type without a region's prefix, and other distinguishing attributes.

    `share` is the part of a unit that is used, e.g. of a GB for a month.
    """

    service: str
    usage: str
    attributes: tuple[tuple[str, str], ...] = ()
    share: float = 1.0


def price(product: Product) -> float | None:
    """Its price in the settings' region; None if AWS has none. Raises like `aws.call`."""
    wanted = (("regionCode", current().AWS_REGION), *product.attributes)
    filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted]
    filters.append({"Type": "CONTAINS", "Field": "usagetype", "Value": product.usage})
    answer = aws.ask_once("pricing", _REGION, "get_products", ServiceCode=product.service, Filters=filters)
    try:
        return product.share * _dollars([json.loads(each) for each in answer["PriceList"]], product.usage)
    except (KeyError, TypeError, ValueError, StopIteration):  # no such product, or another format
        return None


def _dollars(products: list[dict[str, Any]], usage: str) -> float:
    """Of the first unit. Of several usage types the shortest is meant: TS-LoadBalancerUsage is another."""
    whole = re.compile(rf"([A-Z0-9]+-)?{re.escape(usage)}")
    by_usage = {each["product"]["attributes"]["usagetype"]: each["terms"]["OnDemand"] for each in products}
    terms = by_usage[min(filter(whole.fullmatch, by_usage), key=len)]
    dimensions = [one for term in terms.values() for one in term["priceDimensions"].values()]
    return next(float(one["pricePerUnit"]["USD"]) for one in dimensions if one["beginRange"] == "0")

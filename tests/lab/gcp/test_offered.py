"""The table of what the lab offers of Google's APIs matches Google's own messages."""

import pytest
from google.cloud import compute_v1, container_v1

from lab.gcp.api.offered import TABLE
from lab.gcp.compute.routes import compute_methods
from lab.gcp.container.routes import container_methods

NOTHING = ("Get", "Delete", "Cancel", "Wait", "List")  # requests that only name a resource


@pytest.mark.parametrize("name", TABLE)
def test_google_has_every_field(name):
    places = (container_v1.types, compute_v1.types, container_v1.types.ControlPlaneEndpointsConfig)
    [kind] = [getattr(place, name) for place in places if hasattr(place, name)]
    fields = [field for rules in TABLE[name].values() for field in rules]
    assert TABLE[name].keys() <= {"obeyed", "kept"}
    assert set(fields) <= set(kind.pb(kind()).DESCRIPTOR.fields_by_name)


def test_every_changing_method_is_in_the_table():
    methods = [*container_methods(*[None] * 2), *compute_methods(*[None] * 3)]
    kinds = {method.request.__name__ for method in methods}
    assert {kind for kind in kinds if not kind.startswith(NOTHING)} <= TABLE.keys()

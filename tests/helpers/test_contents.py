"""The table of what the series makes, against the notebooks that make it."""

from helpers import cleanup, in_clusters
from helpers.base import contents
from helpers.base.settings import ROOT


def test_the_notebooks_are_those_of_the_folder():
    assert list(contents.NOTEBOOKS.values()) == sorted(path.stem for path in ROOT.glob("notebooks/*.ipynb"))


def test_every_thing_is_made_by_a_notebook_and_completed_by_a_later_one():
    for thing in contents.THINGS.values():
        assert thing.notebook in contents.NOTEBOOKS
        assert not thing.ready or thing.notebook < thing.ready in contents.NOTEBOOKS


def test_what_is_missing_is_completed_by_the_notebook_that_is_named():
    assert contents.notebook("vpc") == "00-introduction"
    assert contents.notebook("eks") == "02-deploy-istio-in-eks"
    assert contents.notebook("gke/Gateway/istio-egressgateway") == "05-connect-both-clusters"


def test_an_object_is_made_by_its_notebook_and_any_other_by_its_clusters():
    assert contents.in_cluster("eks", "virtualservice/vs-lambda") == "eks/VirtualService/vs-lambda"
    assert contents.in_cluster("gke", "service/istio-egressgateway") == "gke"


def test_what_is_deleted_is_in_the_table():
    assert set(cleanup.NOUNS) | set(in_clusters.NOUNS) <= set(contents.THINGS)


def test_what_is_in_a_cluster_is_deleted_one_by_one_too():
    inside = {key for key in contents.THINGS if "/" in key}
    assert set(in_clusters.NOUNS) == inside

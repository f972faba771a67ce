"""The table of what the series creates matches the notebooks."""

from helpers import cleanup, in_clusters
from helpers.base import contents
from helpers.base.settings import ROOT


def test_the_notebooks_are_those_in_the_folder():
    assert list(contents.NOTEBOOKS.values()) == sorted(path.stem for path in ROOT.glob("notebooks/*.ipynb"))


def test_everything_is_created_by_a_notebook_and_completed_by_a_later_one():
    for thing in contents.THINGS.values():
        assert thing.notebook in contents.NOTEBOOKS
        assert not thing.ready or thing.notebook < thing.ready in contents.NOTEBOOKS


def test_the_named_notebook_completes_what_is_missing():
    assert contents.notebook("vpc") == "00-introduction"
    assert contents.notebook("eks") == "02-deploy-istio-in-eks"
    assert contents.notebook("gke/Gateway/istio-egressgateway") == "05-connect-both-clusters"


def test_an_object_belongs_to_its_notebook_and_others_to_that_of_their_cluster():
    assert contents.in_cluster("eks", "virtualservice/vs-lambda") == "eks/VirtualService/vs-lambda"
    assert contents.in_cluster("gke", "service/istio-egressgateway") == "gke"


def test_everything_that_is_deleted_is_in_the_table():
    assert set(cleanup.NOUNS) | set(in_clusters.NOUNS) <= set(contents.THINGS)


def test_everything_in_a_cluster_is_also_deleted_individually():
    inside = {key for key in contents.THINGS if "/" in key}
    assert set(in_clusters.NOUNS) == inside

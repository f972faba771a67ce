"""Every command that the committed notebooks show is complete, according to the programs themselves."""

import pytest

from series.run import notebooks
from tests.pasting.grammar import fault
from tests.pasting.transcript import Step, parse, steps

ACCOUNT = "arn:aws:iam::123456789012"


@pytest.mark.parametrize("notebook", notebooks(), ids=lambda path: path.stem)
def test_each_printed_command_is_complete(programs, notebook):
    found = steps(notebook)
    assert found
    assert {step.command: why for step in found if (why := fault(step.command, programs))} == {}


@pytest.mark.parametrize(
    "command",
    [
        "aws ec2 create-route --route-table-id rtb-1 --destination-cidr-block 0.0.0.0/0 --gateway-id igw-1",
        "aws elbv2 create-target-group --name a --target-type lambda --tags Key=a,Value=b Key=c,Value=d",
        "aws iam create-role --role-name a --assume-role-policy-document file://a.json --query Role.Arn",
        "aws eks wait cluster-active --name a",
        "aws lambda invoke --function-name a build/response.json",
        "while aws ec2 describe-vpcs --output text | grep vpc-; do sleep 10; done",
        "aws s3 sync s3://a/b build/c && zgrep -h '\"GET' build/c/*.gz",
        "aws eks update-kubeconfig --name a --alias eks --kubeconfig build/kubeconfig",
        "kubectl create namespace a \\\n    --dry-run=client -o yaml \\\n    | kubectl apply -f -",
        "kubectl exec -n sleep deploy/sleep -c sleep -- curl -is lambda.external/hello-world",
        "kubectl exec deploy/sleep -- sh -c \\\n    'for n in $(seq 9); do curl a & sleep 1; done; wait'",
        "istioctl --context gke proxy-config routes deploy/sleep.sleep --name 80",
        "gcloud container operations list --limit 1 | xargs -r gcloud container operations wait --project p",
        ".venv/bin/python -m lab exec outside -- curl -v --connect-timeout 3 https://a.b/",
    ],
)
def test_a_complete_command_is_accepted(programs, command):
    assert fault(command, programs) == ""


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("aws ec2 create-route --destination-cidr-block 0.0.0.0/0 --gateway-id igw-1", "--route-table-id"),
        ("aws ec2 create-vpc --cidr-block 10.0.0.0/16  → vpc-1", "→"),
        ("aws eks create-cluster --name a …", "…"),
        ("while aws ec2 describe-vpc | grep vpc-; do sleep 10; done", "describe-vpcs"),
        ("while aws ec2 describe-vpcs | grep vpc-; do sleep 10", "syntax error"),
        ("aws ec2 create-vpc --cidr 10.0.0.0/16 --tag-specification a", "tag-specification"),
        ("aws ec2 create-vpc --cidr-block a --tag-specifications ResourceType=vpc,Tags=[{", "--tag-spec"),
        ("aws ec2 create-vpc --cidr-block a --query 'Vpc.['", "--query"),
        ("aws eks wait cluster-awake --name a", "cluster-active"),
        ("aws elbv2 create-target-group --name a --tags 'Key", "matching"),
        ("gcloud container clusters create a --nodes 1", "--nodes"),
        ("gcloud container clusters crate a --num-nodes 1", "gcloud"),
        ("$ kubectl get pods", "prompt"),
        ("kubectl get pods --contxt eks", "--contxt"),
        ("kubectl get pods | kubectl apply --server-sid -f -", "--server-sid"),
        ("kubectl exec deploy/sleep -- curl --silently lambda.external", "--silently"),
        ("istioctl proxy-status --revison 1", "--revison"),
        ("curl -is --cert", "requires parameter"),
        ("curl -is", "no URL"),
    ],
)
def test_a_shortened_or_wrong_command_is_detected(programs, command, why):
    assert why in fault(command, programs)


def test_a_transcript_is_parsed_as_printed():
    text = "x exists\nkubectl a \\\n    | kubectl b\n# → c\n# → d\ncurl (VPC)  200\ncurl -i e\nHTTP/2 200\n"
    assert parse(text.replace("curl (VPC)", "curl")) == [
        Step("kubectl a \\\n    | kubectl b", answers=["c", "d"], output=["curl  200"]),
        Step("curl -i e", output=["HTTP/2 200", ""]),
    ]

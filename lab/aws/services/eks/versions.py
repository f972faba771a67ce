"""EKS: DescribeClusterVersions, which moto lacks. The lab offers one version."""

import json
from typing import Any

from moto.core.responses import TYPE_RESPONSE

from lab.aws.services.eks.refusals import VERSION
from lab.binaries import KUBERNETES_VERSION

# https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html
_OFFERED = {
    "clusterVersion": VERSION,
    "clusterType": "eks",
    "defaultVersion": True,
    "kubernetesPatchVersion": KUBERNETES_VERSION.removeprefix("v"),
    "status": "standard-support",
    "versionStatus": "STANDARD_SUPPORT",
    "releaseDate": 1769558400,  # 2026-01-28
    "endOfStandardSupportDate": 1806105600,  # 2027-03-27
    "endOfExtendedSupportDate": 1837728000,  # 2028-03-27
}


def describe(request: Any, full_url: str, headers: Any) -> TYPE_RESPONSE:
    wanted = request.args.getlist("clusterVersions")
    found = [_OFFERED] if not wanted or VERSION in wanted else []
    return 200, {"Content-Type": "application/json"}, json.dumps({"clusterVersions": found})

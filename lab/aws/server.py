"""AWS's API on 127.0.0.1: moto's server in this process, with the lab's resources behind it."""

import logging
import os
from collections.abc import Callable, Iterator
from functools import partial
from threading import Thread
from typing import Any

from moto.acm.models import acm_backends
from moto.awslambda.models import lambda_backends
from moto.core.base_backend import BackendDict
from moto.ec2.models import ec2_backends
from moto.eks.models import eks_backends
from moto.elb.models import elb_backends
from moto.elbv2.models import elbv2_backends
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from moto.route53.models import route53_backends
from moto.s3.models import s3_backends
from moto.sts.models import sts_backends
from werkzeug.serving import BaseWSGIServer, make_server

from lab.aws import moto_patches
from lab.aws.api.authentication import authenticated
from lab.aws.api.authorization import authorized
from lab.aws.api.front import Check, Front, offered
from lab.aws.api.principals import OWN
from lab.aws.api.validation import validated
from lab.aws.context import Backends, LabContext
from lab.aws.services.acm.certificates import Certificates
from lab.aws.services.classic.load_balancers import ClassicLoadBalancers
from lab.aws.services.ec2.networks import Networks
from lab.aws.services.eks.clusters import Clusters
from lab.aws.services.elb.load_balancers import LoadBalancers
from lab.aws.services.iam.identities import Identities, TokenService
from lab.aws.services.lambda_.functions import Functions
from lab.aws.services.route53.hosted_zones import HostedZones
from lab.aws.services.s3.buckets import Buckets
from lab.cluster.cluster import MakeCluster
from lab.dns.zones import Dns
from lab.network import Internet, Vpc
from lab.pki import CertificateAuthority
from lab.settings import ACM_ROOT, Lab
from lab.sockets import listen_locally

log = logging.getLogger(__name__)

_SERVICES: dict[type[Any], BackendDict] = {
    Networks: ec2_backends,
    ClassicLoadBalancers: elb_backends,
    LoadBalancers: elbv2_backends,
    Functions: lambda_backends,
    Clusters: eks_backends,
    Certificates: acm_backends,
    HostedZones: route53_backends,
    Identities: iam_backends,
    Buckets: s3_backends,
    TokenService: sts_backends,
}
_ENVIRONMENT = {
    "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
    "AWS_CONFIG_FILE": os.devnull,  # moto gets regions from boto3, which must not read your files
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}

# The checks before moto (lab/aws/api/).
_CHECKS: list[Check] = [authenticated, offered, validated, authorized]


class Aws:
    """One AWS per process, as moto keeps its state in modules.

    `make_cluster(spec, vpc, load_balancers)` returns a Cluster that is not started.
    """

    def __init__(
        self, lab: Lab, internet: Internet, dns: Dns, make_cluster: MakeCluster, port: int = 0
    ) -> None:
        self._lab, self._internet, self._dns, self._make_cluster = lab, internet, dns, make_cluster
        self.vpcs: dict[str, Vpc] = {}  # by VPC id, those that have a network
        self.port = port
        self._backends: Backends | None = None
        self._server: BaseWSGIServer | None = None

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self) -> tuple[str, str]:
        """The access key of the lab's own user: its id and its secret."""
        return OWN.access_key_id, OWN.secret

    def start(self) -> None:
        """Listen on 127.0.0.1:port. LabError if the port is taken."""
        os.environ.update(_ENVIRONMENT)
        os.environ.pop("AWS_PROFILE", None)
        listener = listen_locally(self.port, "the AWS API", "LAB_AWS_PORT")
        self.port = listener.getsockname()[1]
        self.context = LabContext(
            self._lab,
            self._internet,
            self._dns,
            self._make_cluster,
            self._root(),
            self.endpoint_url,
            _SERVICES,
            self.vpcs,
        )
        self._backends = Backends(self.context)
        moto_patches.apply()
        self._server = make_server(
            "127.0.0.1",
            self.port,
            Front(DomainDispatcherApplication(create_backend_app), _CHECKS),
            threaded=True,
            request_handler=MotoRequestHandler,
            fd=listener.detach(),
        )
        Thread(target=self._server.serve_forever, name="aws-api", daemon=True).start()

    def _root(self) -> CertificateAuthority:
        """The CA of ACM's certificates, in place of Amazon's; its certificate is in a file for clients."""
        authority = CertificateAuthority("Root of the lab's ACM", days=3650)
        self._lab.data.mkdir(parents=True, exist_ok=True)
        (self._lab.data / ACM_ROOT).write_bytes(authority.pair.certificate)
        return authority

    def stop(self) -> None:
        """Stop the API, then everything created through it, if it was started."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        if not self._backends:
            return
        for close in self._closes():
            try:
                close()
            except Exception:  # stop the rest anyway
                log.exception("stopping AWS")
        self.vpcs.clear()
        self._backends.restore()
        self._backends = None

    def _closes(self) -> Iterator[Callable[[], None]]:
        for service in (eks_backends, elb_backends, elbv2_backends, lambda_backends):
            yield from (backend.close for _, _, backend in list(service.iter_backends()))  # type: ignore[attr-defined]
        for vpc in list(self.vpcs.values()):
            yield partial(self._dns.stop_resolver, vpc)
            yield vpc.delete

"""What a cloud installs into every cluster: here, CoreDNS."""

from pathlib import Path

import yaml
from kubernetes import client, utils
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from lab import images

COREDNS = Path(__file__).with_name("coredns.yaml")


@retry(
    retry=retry_if_exception_type(utils.FailToCreateError),
    stop=stop_after_delay(30),
    wait=wait_fixed(0.2),
    reraise=True,
)
def _create(api: client.ApiClient, document: dict) -> None:
    try:
        utils.create_from_dict(api, document)
    except utils.FailToCreateError as error:
        if all(reason.status == 409 for reason in error.api_exceptions):
            return  # it exists
        raise  # the namespace kube-system appears shortly after the API server is ready


def install_coredns(api: client.ApiClient, dns_ip: str) -> None:
    """Create the Deployment coredns and the Service kube-dns. Other names go to the node's resolver."""
    text = COREDNS.read_text().replace("${DNS_IP}", dns_ip).replace("${IMAGE}", images.COREDNS)
    for document in yaml.safe_load_all(text):
        _create(api, document)

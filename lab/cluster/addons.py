"""Installed into every cluster: CoreDNS, as in a cloud, and the lab's admission policies."""

import subprocess
from pathlib import Path

from lab import images
from lab.cluster.waiting import wait_until
from lab.processes import Process

COREDNS = Path(__file__).with_name("coredns.yaml")
ADMISSION = Path(__file__).with_name("admission.yaml")


def install(kubectl: Path, kubeconfig: Path, dns_ip: str, needed: list[Process]) -> None:
    """Apply the Deployment coredns, the Service kube-dns and the admission policies.

    Names that are not Services are forwarded to the node's resolver. LabError if one of the programs in
    `needed` ends meanwhile.
    """
    text = COREDNS.read_text().replace("${DNS_IP}", dns_ip).replace("${IMAGE}", images.COREDNS)
    text += "---\n" + ADMISSION.read_text()
    cache = kubeconfig.with_name("kubectl-cache")  # not in root's ~/.kube
    own = [f"--kubeconfig={kubeconfig}", f"--cache-dir={cache}"]
    command = [str(kubectl), *own, "apply", "--server-side", "--filename=-"]

    def applied() -> bool:
        # Fails at first: the namespace kube-system appears a moment after the API server is ready.
        return not subprocess.run(command, input=text, text=True, capture_output=True).returncode

    wait_until(applied, "installing CoreDNS and admission policies", needed)

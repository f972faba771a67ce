"""The Envoys on the path of a request from `sleep` to the function."""

from helpers.curl import Pod

SIDECAR = Pod("gke", "sleep", "deploy/sleep")
EGRESS = Pod("gke", "istio-egress", "deploy/istio-egressgateway")
INGRESS = Pod("eks", "istio-ingress", "deploy/istio-ingressgateway")
PATH = {"sidecar": SIDECAR, "egress gateway": EGRESS, "ingress gateway": INGRESS}
GATEWAYS = {"gke": EGRESS, "eks": INGRESS}

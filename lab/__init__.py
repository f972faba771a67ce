"""Both clouds on one Linux machine: real Kubernetes, Istio and Envoy; the clouds' APIs stand in."""

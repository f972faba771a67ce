"""AWS and Google Cloud on one Linux machine: real Kubernetes, Istio and Envoy behind emulated cloud APIs."""

"""Real Kubernetes clusters in the lab's VPCs."""

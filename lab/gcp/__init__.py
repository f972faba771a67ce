"""Google Cloud in the lab: the GKE API, Compute Engine's routers, OAuth for a service account."""

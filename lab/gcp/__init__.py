"""Google Cloud in the lab: the GKE API over REST, OAuth for a service account, real clusters behind them."""

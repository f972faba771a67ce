"""`python -m helpers.cleanup`, with clients that wait for an answer a short time only."""

from helpers import aws, cleanup, gke
from tests.faults.provision import PATIENCE

if __name__ == "__main__":
    aws._TIMEOUTS["read_timeout"] = PATIENCE
    gke._TIMEOUT = PATIENCE
    cleanup.main()

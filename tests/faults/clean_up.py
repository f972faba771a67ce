"""`python -m helpers.cleanup`, with clients that wait for an answer a short time only."""

from helpers import aws, cleanup, gcp
from tests.faults.provision import PATIENCE

if __name__ == "__main__":
    aws._TIMEOUTS["read_timeout"] = PATIENCE
    gcp.TIMEOUT = PATIENCE
    cleanup.main()

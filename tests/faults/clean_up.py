"""`python -m helpers.cleanup`, with clients that have a short timeout."""

from helpers import aws, cleanup, gcp
from tests.faults.provision import TIMEOUT

if __name__ == "__main__":
    aws._TIMEOUTS["read_timeout"] = TIMEOUT
    gcp.TIMEOUT = TIMEOUT
    cleanup.main()

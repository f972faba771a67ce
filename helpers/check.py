"""The check at the end of a notebook."""

from collections.abc import Mapping

from helpers.base.errors import CheckError


def check(claims: Mapping[str, object]) -> None:
    """Print each claim with ✓ or ✗; raises CheckError, which lists those that do not hold."""
    if not claims:
        raise CheckError("Checking this notebook", "there is nothing to check")
    for claim, holds in claims.items():
        print(f"{'✓' if holds else '✗'} {claim}")
    failed = [claim for claim, holds in claims.items() if not holds]
    if failed:
        raise CheckError(
            "Checking this notebook",
            "; ".join(f"failed: {claim}" for claim in failed),
            "check the cell above that shows it, then run the notebook again.",
        )

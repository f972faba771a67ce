"""Proves the claims of each notebook that was run again: `python -m series.check`, or `make check`."""

import sys

from helpers.base import contents
from helpers.base.errors import for_people
from series import proof


@for_people
def main() -> None:
    """Say of each claim whether it holds, up to the first that does not; exit status 1 then."""
    parts = proof.exists()
    begun = proof.begun(parts)
    for number in begun:
        name = contents.NOTEBOOKS[number]
        print(name, flush=True)
        for claim in proof.prove(proof.NOTEBOOKS / f"{name}.ipynb"):
            print(f"  {'✗' if claim.why else '✓'} {claim.text}", flush=True)
            if claim.why:
                print("    " + claim.why.replace("\n", "\n    "))
                sys.exit(f"\n{name} has to be run again: make tutorial FROM={number} TO={number}")
    later = [name for number, name in contents.NOTEBOOKS.items() if number not in begun and number != "99"]
    print(f"\nAll of that holds. Not run yet: {', '.join(later) or 'none'}")


if __name__ == "__main__":
    main()

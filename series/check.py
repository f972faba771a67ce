"""Checks again what each notebook claims, changing nothing: `python -m series.check`, or `make check`."""

import sys
from typing import Annotated

import typer

from helpers.base import contents
from helpers.base.errors import for_people
from series import proof


@for_people
def main(
    words: Annotated[
        list[str] | None, typer.Argument(help="for make in the hint, such as TARGET=cloud")
    ] = None,
) -> None:
    """Print the claims of each notebook that was run, up to the first that does not hold: exit status 1."""
    begun = proof.begun(proof.exists())
    for number in begun:
        name = contents.NOTEBOOKS[number]
        print(name, flush=True)
        for claim in proof.prove(proof.NOTEBOOKS / f"{name}.ipynb"):
            print(f"  {'✗' if claim.why else '✓'} {claim.text}", flush=True)
            if claim.why:
                print("    " + claim.why.replace("\n", "\n    "))
                again = " ".join(["make tutorial", *(words or ()), f"FROM={number}", f"TO={number}"])
                sys.exit(f"\nRun {name} again: {again}")
    later = [contents.NOTEBOOKS[number] for number in contents.ARTICLE if number not in begun]
    print(f"\nAll claims hold. Not run yet: {', '.join(later) or 'none'}")


if __name__ == "__main__":
    typer.run(main)

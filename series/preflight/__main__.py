"""`python -m series.preflight`: checks before a run on real accounts, prints the price, and asks.

Exit code 0: continue. 1: a check failed, or the answer was no; nothing was created.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress

from helpers import cost, show
from helpers.base import command, my_address
from helpers.base.errors import for_people
from helpers.base.settings import ENDPOINTS, current, in_the_file, settings_file
from series.preflight import aws, gcp, here, images
from series.preflight.finding import Finding, note, ok, settled


@for_people
def main() -> None:
    """Check, print the price, ask."""
    _refuse_other_settings()
    findings = list(_findings())
    stops = sum(finding.level == "stop" for finding in findings)
    if stops:
        sys.exit(f"\n{stops} problem(s) to solve first (✗). Nothing was created.")
    _plan()
    if not _agreed():
        sys.exit("Nothing was created.")


def _refuse_other_settings() -> None:
    file = settings_file()
    if not file.exists():
        sys.exit(
            f"There are no settings for real accounts yet: {file.name} is missing.\n"
            f"Try: cp tutorial.example.toml {file.name}, fill it in, and read docs/real-accounts.md"
        )
    # A shell with these in its environment is set up for other endpoints.
    given = [name for name in ENDPOINTS if os.environ.get(name) and name not in in_the_file()]
    if given:
        sys.exit(
            f"{' and '.join(given)} in the environment would take effect, because {file.name} "
            "does not set it: the run would use that endpoint.\n"
            f"Try: a new terminal, or unset {' '.join(given)}"
        )


def _findings() -> Iterator[Finding]:
    """All findings, each printed as it comes. A cloud that rejects the credentials gets no further calls."""
    clouds = (("images", (images.look,)), ("AWS", aws.CHECKS), ("Google Cloud", gcp.CHECKS))
    for subject, checks in (("this machine", (_tools,)), ("this machine", (_caller, *here.CHECKS)), *clouds):
        for check in checks:
            levels = []
            for finding in settled(subject, check()):
                print(finding)
                levels.append(finding.level)
                yield finding
            if "stop" in levels and check is checks[0]:
                break


def _tools() -> Iterator[Finding]:
    for program in ("istioctl", "curl"):
        yield ok(program, f"{show.program_version(program)}, {command.relative(command.find(program))}")
    wanted, there = current().TUTORIAL_ISTIO_REVISION.replace("-", "."), show.program_version("istioctl")
    if not there.startswith(wanted):
        yield note(
            "istioctl",
            f"{there} installs another Istio version than the tested one, {wanted}",
        )


def _caller() -> Iterator[Finding]:
    yield ok("API servers", f"will be reachable from {my_address.cidr()} only")


def _plan() -> None:
    settings = current()
    print(f"\nThis will be created in AWS ({settings.AWS_REGION}) and Google Cloud:\n")
    print(cost.table())
    for name in ENDPOINTS:
        if endpoint := getattr(settings, name):
            print(f"\n{name} is {endpoint}: the costs depend on what that endpoint is.")
    end = f"make destroy TARGET=cloud SETTINGS={command.relative(settings_file())}"
    print(f"\nAbout {cost.per_hour():.2f} US dollars an hour while it exists, and about {cost.per_run():.2f}")
    print(f"for one run of {cost.HOURS:g} hours, clean-up included. Where a price has a month, its cloud")
    print("did not provide today's: it is the price in us-east-1 or us-central1, from the lists at")
    print("\n".join(cost.SOURCES.values()))
    print(f"To delete it: {end}")


def _agreed() -> bool:
    """TUTORIAL_YES=1 in the environment means yes, for CI; without it and without a terminal: no."""
    if os.environ.get("TUTORIAL_YES") == "1":
        print("TUTORIAL_YES=1: continuing.")
        return True
    with suppress(EOFError):
        return input("Create it? [y/N] ").strip().lower() in ("y", "yes")
    print()
    return False


if __name__ == "__main__":
    main()

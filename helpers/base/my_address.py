"""The reader's public address: nobody else needs to reach the API servers."""

from ipaddress import IPv4Address, IPv4Network

from helpers.base.errors import SettingsError, UnreachableError
from helpers.base.settings import current

_LIMIT = 10  # seconds


def cidr() -> str:
    """The reader's address in the form that both clouds accept, e.g. "203.0.113.7/32".

    TUTORIAL_AUTHORIZED_CIDR is an address, a range, or a URL that returns the caller's address.
    Raises Unreachable, SettingsError.
    """
    caller = current().TUTORIAL_AUTHORIZED_CIDR
    if "://" not in caller:
        return str(IPv4Network(caller))
    import requests  # the import takes a tenth of a second, and most notebooks don't need it

    action, hint = (
        f"Asking {caller} for this machine's address",
        'set your address, as in TUTORIAL_AUTHORIZED_CIDR = "203.0.113.7/32".',
    )
    try:
        answer = requests.get(caller, timeout=_LIMIT)
        answer.raise_for_status()
    except requests.RequestException as error:
        raise UnreachableError(action, str(error), hint) from error
    try:
        return f"{IPv4Address(answer.text.strip())}/32"
    except ValueError:
        raise SettingsError(action, f"it returned {answer.text[:80]!r}, not an IPv4 address", hint) from None

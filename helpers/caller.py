"""From where the reader calls: who else need not reach an API server on the internet."""

from ipaddress import IPv4Address, IPv4Network

import requests

from helpers.errors import SettingsWrong, Unreachable
from helpers.settings import current

_LIMIT = 10  # seconds


def cidr() -> str:
    """The reader's own address as both clouds take it, e.g. "203.0.113.7/32".

    CALLER is that address, or a range, or a URL that answers with the address of whoever asks.
    Raises Unreachable, SettingsWrong.
    """
    caller = current().CALLER
    if "://" not in caller:
        return str(IPv4Network(caller))
    doing, try_ = (
        f"Asking {caller} for this machine's address",
        'set CALLER, as in CALLER = "203.0.113.7/32".',
    )
    try:
        answer = requests.get(caller, timeout=_LIMIT)
        answer.raise_for_status()
    except requests.RequestException as error:
        raise Unreachable(doing, str(error), try_) from error
    try:
        return f"{IPv4Address(answer.text.strip())}/32"
    except ValueError:
        raise SettingsWrong(doing, f"it answered {answer.text[:80]!r}, no IPv4 address", try_) from None

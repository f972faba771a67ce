"""Changes to a cloud, to a cluster or to the tutorial's own files, announced before they are made."""

from helpers.base.errors import ChangeNeededError
from helpers.base.settings import current


def begin(command: str) -> None:
    """Call it just before a change, with the command that makes it.

    Raises:
        ChangeNeededError: the settings allow no change (TUTORIAL_READ_ONLY). Helpers change only what is
            missing or different, so this names it.
    """
    if current().TUTORIAL_READ_ONLY:
        raise ChangeNeededError(command)

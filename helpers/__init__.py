"""What a notebook imports, one module per noun of the clouds; the folders have how it is done."""

from helpers.base import errors, settings

__all__ = ["errors", "settings"]

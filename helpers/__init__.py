"""What a notebook imports: one module per cloud noun. The subfolders contain the implementation."""

from helpers.base import errors, settings

__all__ = ["errors", "settings"]

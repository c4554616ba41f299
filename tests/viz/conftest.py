"""Fixtures of this room: a browser, and pages of the explorer in it."""

from support.explorer_pages import browser, opened

__all__ = ["browser", "opened"]

"""How many calls an action makes: a measure of its time that repeats."""

import sys


def calls_within(action):
    """The calls of Python and C."""
    count = 0

    def note(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(None)
    return count

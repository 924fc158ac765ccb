"""Waiting for a condition, instead of sleeping for luck."""

import time

INTERVAL = 0.05
PATIENCE = 3  # how long to wait before giving up is no claim about speed


class NeverHappened(AssertionError):
    """A condition did not come true in time."""


def wait_for(condition, timeout, what):
    """Calls condition() until it returns something true, and returns that.

    timeout: seconds in which it comes true for certain on a machine that does little besides; after
    PATIENCE times as many it raises NeverHappened. `what` says in words what was waited for, as a
    string or as a function that is called only then (to tell the last state seen).
    """
    deadline = time.monotonic() + timeout * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            words = what() if callable(what) else what
            raise NeverHappened(f"not within {timeout * PATIENCE:g} s: {words}")
        time.sleep(INTERVAL)


def stays(condition, seconds, what):
    """Asserts that condition() is true at every look during the given time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), f"no longer true: {what}"
        time.sleep(INTERVAL)

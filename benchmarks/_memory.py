"""The peak of a process; nothing heavy is imported here."""

import resource
import sys


def peak_memory() -> int:
    """Return the most bytes that this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak

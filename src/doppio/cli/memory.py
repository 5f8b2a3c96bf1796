"""Memory that was freed is kept for what comes next, up to a bound.

glibc gives the end of the heap back to the kernel as soon as 128 KiB of it are free. A page of a
listing takes a megabyte and leaves it within a millisecond: what that costs in page faults is more
than what the page itself costs.
"""

from __future__ import annotations

import ctypes

KEPT_BYTES_MAX = 16 * 1024 * 1024
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
# Larger pieces come from the kernel and go back to it, as they do without us once one was freed.
_MMAP_BYTES_MIN = 4 * 1024 * 1024


def keep_freed_memory() -> None:
    """Ask the allocator of the process to keep what was freed; others than glibc's do as they do."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES_MAX)
    mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES_MIN)

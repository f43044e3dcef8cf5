"""The exit codes of every `mulu` command; scripts rely on them."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's end means."""

    GOOD = 0
    FAILED = 1
    USAGE = 2
    VERIFICATION_SAYS_NO = 3
    CANNOT_SAY = 4
    NOT_FOUND = 5
    REFUSED_BY_POLICY = 6
    UNAVAILABLE = 7
    INTERRUPTED = 130
    OUTPUT_CUT_OFF = 141
    TERMINATED = 143

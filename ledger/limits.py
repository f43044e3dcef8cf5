"""Every bound with its reason. A bound that two places need stands here once."""

from __future__ import annotations

RECORD_BYTES_MAX = 65_536
"""One record. Data travels outside the ledger; a record holds statements, digests and short texts."""

RECORDS_PER_ENVELOPE_MAX = 256
"""Beyond 256 records a signature's share of the cost is below one per cent."""

ENVELOPE_BYTES_MAX = 1 << 20
"""One envelope, and so one body at the gateway: what a node parses before it knows who sent it."""

ENVELOPES_PER_BLOCK_MAX = 16_384
"""Bounds the memory that decoding one block can take."""

BLOCK_BYTES_MAX = (4 << 20) - 4_096
"""One block with its payload: fits one peer frame of 4 MiB with its wrapping."""

JUSTIFICATION_BYTES_MAX = 131_072
"""A quorum certificate and a timeout certificate of 500 validators, at about 110 bytes a signature."""

VALIDATORS_MAX = 500
"""Validators in one epoch; certificates carry one signature each."""

DEADLINES_PER_BLOCK_MAX = 1_000
"""Deadlines acted upon at the start of one block; the rest wait for the next, so that no block takes unbounded time."""

ENVELOPE_KEYS_MAX = 256
"""Keys of one department that are not revoked: one a gateway, with room to rotate them. They stand in one value."""

KEY_CHECKS_PER_BLOCK_MAX = 16
"""New keys of one department that are checked in one block, at up to 2 ms each without the native core: a block has
room for tens of thousands of such records, and no department may make every member work on one for a minute."""

VALID_UNTIL_AHEAD_MAX = 10_000
"""Blocks between an envelope's inclusion and its valid-until: bounds how long a replay window must remember."""

SEQUENCE_WINDOW = 1_024
"""Sequence numbers of one key that may be in flight at once."""

FRAME_BYTES_MAX = 4 << 20
"""One message between peers, its prefix excluded: bounds what a peer makes a node hold before it is understood."""

JOURNAL_FRAME_BYTES_MAX = 8 << 20
"""One frame on disk, its wrapping included: twice the largest block, since the results and block record of a full block
also go into one frame. Bounds what a damaged length can make a reader take for a frame."""

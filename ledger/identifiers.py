"""Names for the things that are named by a number, a code or a digest, so that a checker can tell them apart."""

from __future__ import annotations

from typing import NewType

Digest = NewType("Digest", bytes)
"""32 bytes of SHA-256."""

ChainId = NewType("ChainId", bytes)
"""32 bytes: the tagged hash of the genesis; names one network."""

EnvelopeId = NewType("EnvelopeId", bytes)
"""32 bytes: the tagged hash of an envelope's header, without the signature: signing again makes no second id."""

BlockId = NewType("BlockId", bytes)
"""32 bytes: the tagged hash of a block's header, the justification inside included, the author's signature excluded."""

CreditCode = NewType("CreditCode", str)
"""Unified social credit code of an organisation, 18 characters with a check character (GB 32100-2015)."""

CertificateIdentifier = NewType("CertificateIdentifier", str)
"""Identifier of an e-certificate with its check character (GB/T 36904-2018), root and dots included."""

KeyId = NewType("KeyId", int)
"""Number of one of a department's envelope keys, from 1, never used again."""

Height = NewType("Height", int)
"""Position of a block on the ledger; genesis is 0, the first block 1."""

ValidatorIndex = NewType("ValidatorIndex", int)
"""Position of a validator in its epoch's set, from 0, in the order of credit codes."""

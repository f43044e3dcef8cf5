"""What the register holds at genesis."""

from __future__ import annotations

from collections.abc import Iterator

from ledger.blocks.genesis import Founder, Genesis
from ledger.encoding import Canonical
from ledger.members.departments import (
    Department,
    EnvelopeKey,
    KeyOwner,
    department_key,
    envelope_key_key,
    key_owner_key,
)


def found(genesis: Genesis) -> Iterator[tuple[bytes, Canonical]]:
    """Yield key and value of every founder and its keys.

    The genesis was checked by `ledger.members.founding.check_genesis` by whoever made or accepted it: that takes
    milliseconds a key, and is not repeated here.
    """
    for founder in genesis.founders:
        yield department_key(founder.credit_code), _department_of(founder)
        yield (
            envelope_key_key(founder.credit_code, 1),
            EnvelopeKey(
                department=founder.credit_code,
                key_id=1,
                public=founder.envelope_key.public,
                valid_from=0,
                valid_to=None,
                revocation_reason="",
            ),
        )
        keys = {"envelope/1": founder.envelope_key}
        if (node := founder.validator) is not None:
            keys |= {"consensus": node.consensus, "cosigner": node.cosigner, "log": node.log}
        for purpose, key in keys.items():
            yield key_owner_key(key.public), KeyOwner(department=founder.credit_code, purpose=purpose)


def _department_of(founder: Founder) -> Department:
    return Department(
        credit_code=founder.credit_code,
        code=founder.code,
        name_zh=founder.name_zh,
        name_en=founder.name_en,
        name_before=founder.name_before,
        roles=founder.roles,
        predecessors=(),
        successors=(),
        valid_from=0,
        valid_to=None,
        current_keys=(1,),
        validator=founder.validator,
    )

"""One whole member without I/O: pool, engine, execution, log, checkpoints, catch-up.

    member      the `Replica`: events in, effects out
    intake      the way of envelopes into the pool, and from here to all others
    admission   which of them get there
    pool        where they wait for a block
    signatures  what the check of those that others hand on may cost
    history     state, log and blocks as far as they are executed
    attested    the same as of the newest checkpoint with a quorum, to prove things from
    notary      what a member says of its log under its own key: notes, receipts
    cache       what members in one process may share

The same `Replica` runs behind real sockets and disks and on a simulator's virtual ones.
"""

from ledger.replica.admission import NotAdmittedError
from ledger.replica.attested import AttestedView
from ledger.replica.cache import MemberCache
from ledger.replica.history import BlockArchive, History, MemoryArchive, Placement
from ledger.replica.member import EnvelopeStatus, Options, Replica
from ledger.replica.notary import Receipt
from ledger.replica.pool import PoolFullError

__all__ = [
    "AttestedView",
    "BlockArchive",
    "EnvelopeStatus",
    "History",
    "MemberCache",
    "MemoryArchive",
    "NotAdmittedError",
    "Options",
    "Placement",
    "PoolFullError",
    "Receipt",
    "Replica",
]

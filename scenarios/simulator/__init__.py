"""A whole network in one process on a virtual clock, network and disk, replayable from one seed.

    streams      one seed, split into named sources of draws
    loop         the virtual clock and the one queue of events
    network      delay, loss, duplication, reordering, partitions in time and by round
    disk         what a member writes, and what is left of it when the power goes
    signatures   verified once for all members; a stand-in that is cheaper than Ed25519
    node         one member and its disk: carries out effects in their order, loses power, comes back
    twins        a validator that runs twice under one set of keys
    cluster      all of it together: what a scenario drives
    trace        one digest over everything that happened
    checkers     what must hold in every run (invariants I1 to I12)
    faults       what goes wrong in a run, drawn from its seed
    workload     a small network and real records for it
    campaign     many seeds, each with its verdict

The members are the same `ledger.replica.Replica` that real nodes run. Nothing here reads a clock or draws from anything
but the seed, so that a run can be played again to the byte, on every supported Python and under every hash seed.
"""

"""Order: which block comes next. Never looks at what the registers hold.

    messages      what validators say to each other, and the bytes that they sign
    certificates  what a quorum of votes or timeouts proves, and how they are collected
    evidence      two signed statements of one validator that exclude each other
    safety        what may be signed: the only code that holds the member's consensus and cosigner keys
    pacemaker     when a round ends and how long it may take
    leader        who proposes in a round
    block_tree    blocks that are not committed yet, and the rule that commits them
    sync          fetching blocks that certificates prove to exist
    cosigning     collecting cosignatures until a checkpoint has its quorum, and keeping the own ones
    engine        Jolteon: the parts above as one protocol
    solo          one node that orders alone
    effects, events   what an engine asks of its node and hears from it

Rules are cited as P1 to P28 of the protocol's list in `docs/consensus.md`.
"""

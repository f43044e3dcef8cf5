"""Order: which block comes next. Never looks at what the registers hold.

What is said, and what it proves:

    messages      what validators say to each other, and the bytes that they sign
    certificates  what has to hold before a statement or a certificate counts
    collectors    votes and timeouts on their way to a certificate
    evidence      two signed statements of one validator that exclude each other
    cosigning     collecting cosignatures until a checkpoint has its quorum, and keeping the own ones
    cache         results of checks that nobody has to make twice

Rules that need nothing else:

    safety        what may be signed: the only code that holds the member's consensus and cosigner keys
    pacemaker     when a round ends and how long it may take
    leader        who proposes in a round
    block_tree    blocks that are not committed yet, and the rule that commits them
    sync          fetching blocks that certificates prove to exist

Jolteon, one part on the other:

    outbox        what one event makes the node do: effects, timers, charges
    setting       what all parts work with
    checkpoints   the own cosignatures, and what a quorum attests
    progress      what certificates have moved: the round, and the blocks that are committed
    validity      what makes a block valid in its place
    proposals     blocks on their way into the tree
    activity      whether a round should bring a block
    voting        when this member votes, and what the votes of all add up to
    round_change  timeouts, and the certificate they add up to
    proposing     what the leader of a round does
    jolteon       the parts above as one protocol

Around the engines:

    engine        what an engine is to the member, and what it needs of it
    solo          one node that orders alone
    effects, events   what an engine asks of its node and hears from it

Rules are cited as P1 to P28 of the protocol's list in `docs/consensus.md`.
"""

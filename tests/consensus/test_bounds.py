"""What one hostile validator can make a member hold, compute or answer is bounded."""

from __future__ import annotations

import msgspec

from tests.consensus.adversary import Adversary


def test_timeouts_that_name_no_round_are_refused_like_other_nonsense() -> None:
    """A certificate of timeouts with authors and without rounds is looked at before its quorum is; P7 raises nothing
    else than a refusal."""
    adversary = Adversary()
    adversary.time_out(0, 1)
    tc1 = msgspec.structs.replace(adversary.certify_timeouts(1, 0, 1), high_qc_rounds=())
    adversary.show(adversary.propose(2, adversary.genesis, tc1), 0)
    assert [refusal.code for refusal in adversary.member(0).refusals] == ["bad_certificate"]

"""The registers: what departments can state, under which rules, and why a statement is refused.

A register is one folder with `records.py` (what can be stated), `values.py` (what the state holds), `rules.py` (what a
record changes, or why it is refused), `refusals.py` (its codes) and `queries.py` (what can be asked of the state). One
line below joins it to the ledger. Its package docstring states the invariants that its tests hold.
"""

from __future__ import annotations

from ledger.registers import certificates, directories, members, sharing
from ledger.registers.register import Register, Rulebook

REGISTERS: tuple[Register, ...] = (
    members.REGISTER,  # codes 32 to 63
    directories.REGISTER,  # codes 64 to 95
    certificates.REGISTER,  # codes 96 to 127
    sharing.REGISTER,  # codes 128 to 159
)

RULEBOOK = Rulebook(REGISTERS)
"""The rules of this ledger."""

decode_record = RULEBOOK.decode_record
code_of = RULEBOOK.code_of

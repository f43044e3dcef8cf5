"""A further register: one folder's worth of code joins the ledger by one line, deadlines included."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ledger.blocks.record import Record
from ledger.blocks.refusals import RefusalCode, Refused
from ledger.encoding import Canonical, UInt63
from ledger.errors import DecodeError, InvariantBrokenError, OversizeError
from ledger.limits import DEADLINES_PER_BLOCK_MAX, RECORD_BYTES_MAX
from ledger.registers import REGISTERS, RULEBOOK
from ledger.registers.context import Context
from ledger.registers.deadlines import Deadline, deadline_key
from ledger.registers.register import Register, Rulebook
from ledger.state.store import State
from tests.registers import governed
from tests.registers.catalogue import METADATA, catalogued, data_item
from tests.state.small_ledger import HOUSING, MARKET, SmallLedger


class Ask(Record, tag="questions.ask", kw_only=True):
    """A department asks something and wants the answer by a time."""

    question: str
    due_ms: UInt63


class Answer(Record, tag="questions.answer", kw_only=True):
    """Another department answers."""

    question: str


class Question(Canonical, tag="questions/question", kw_only=True):
    """A question and what became of it."""

    question: str
    due_ms: UInt63
    outcome: str


class QuestionsRefusal(RefusalCode):
    """Codes of the register of this test."""

    ASKED_BEFORE = (240, "the question was asked before", "read the answer")
    TOO_LATE = (241, "the question is closed", "ask again")


def question_key(question: str) -> bytes:
    """Return the state key of a question."""
    return b"questions/question/" + question.encode()


def ask(record: Ask, context: Context) -> None:
    """Put the question, then notice that it was asked before: what was put must be undone, the deadline too."""
    key = question_key(record.question)
    before = context.get(key, Question)
    context.put(key, Question(question=record.question, due_ms=record.due_ms, outcome="open"))
    context.set_deadline(record.due_ms, key)
    if before is not None:
        raise Refused(QuestionsRefusal.ASKED_BEFORE)


def answer(record: Answer, context: Context) -> None:
    """Answer in time and lift the deadline."""
    key = question_key(record.question)
    question = context.get(key, Question)
    if question is None or question.outcome != "open":
        raise Refused(QuestionsRefusal.TOO_LATE)
    context.lift_deadline(question.due_ms, key)
    context.put(key, Question(question=record.question, due_ms=question.due_ms, outcome=context.department))


def close(subject: bytes, context: Context) -> None:
    """Nobody answered."""
    question = context.get(subject, Question)
    assert question is not None
    outcome = f"closed at {context.height} by {context.department or 'nobody'}"
    context.put(subject, Question(question=question.question, due_ms=question.due_ms, outcome=outcome))


QUESTIONS = Register(
    name="questions",
    description="what departments ask each other",
    rules={Ask: ask, Answer: answer},
    values=(Question,),
    codes=QuestionsRefusal,
    deadline_rule=close,
)


@pytest.fixture(scope="module")
def rulebook() -> Rulebook:
    """Return the ledger's rules and those of one more register."""
    return Rulebook((*REGISTERS, QUESTIONS))


def outcome(ledger: SmallLedger, question: str) -> str | None:
    """Return what became of a question."""
    value = ledger.state.get(question_key(question), Question)
    return value.outcome if value else None


def test_a_register_joins_by_one_line(rulebook: Rulebook) -> None:
    """Its records execute beside those of the others, with its codes; without the line they are no records."""
    ledger, without = SmallLedger(rulebook=rulebook), SmallLedger()
    asked = Ask(question="why", due_ms=ledger.state.time_ms + 10_000)
    assert ledger.put(HOUSING, asked, asked, Answer(question="how")) == ["accepted", "asked_before", "too_late"]
    assert without.put(HOUSING, asked) == ["malformed_record"]
    assert outcome(ledger, "why") == "open"


def test_a_deadline_acts_once_the_time_is_beyond_it(rulebook: Rulebook) -> None:
    """At its time a block is still in time; one millisecond later it passes, before the envelopes, and is listed."""
    ledger = SmallLedger(rulebook=rulebook)
    due_ms = ledger.state.time_ms + 10_000
    ledger.put(HOUSING, Ask(question="why", due_ms=due_ms))
    assert ledger.execute(time_ms=due_ms).record.deadlines == ()
    assert outcome(ledger, "why") == "open"
    late = ledger.envelope(MARKET, Answer(question="why"))
    execution = ledger.execute(late, time_ms=due_ms + 1)
    assert execution.record.deadlines == (question_key("why"),)
    assert [set(keys) for keys in execution.touched_by_deadlines] == [
        {deadline_key(due_ms, question_key("why")), question_key("why")}
    ]
    assert rulebook.code_of(execution.results[0][0]) is QuestionsRefusal.TOO_LATE
    assert outcome(ledger, "why") == "closed at 3 by nobody"
    deadline = ledger.state.get(deadline_key(due_ms, question_key("why")), Deadline)
    assert deadline is not None
    assert (deadline.status, deadline.set_height, deadline.settled_height) == ("passed", 1, 3)
    assert ledger.execute(time_ms=due_ms + 2).record.deadlines == ()


def test_a_lifted_deadline_never_acts(rulebook: Rulebook) -> None:
    """What was answered in time is left alone."""
    ledger = SmallLedger(rulebook=rulebook)
    due_ms = ledger.state.time_ms + 10_000
    ledger.put(HOUSING, Ask(question="why", due_ms=due_ms))
    assert ledger.put(MARKET, Answer(question="why"), time_ms=due_ms) == ["accepted"]
    assert ledger.execute(time_ms=due_ms + 1).record.deadlines == ()
    assert outcome(ledger, "why") == MARKET
    assert len(ledger.state.pending_deadlines) == 0


def test_a_deadline_may_lift_one_that_is_due_after_it() -> None:
    """What the first made pointless does not act, and is not listed."""
    start = SmallLedger().state.time_ms

    def close_the_other_too(subject: bytes, context: Context) -> None:
        close(subject, context)
        context.lift_deadline(start + 2_000, question_key("second"))

    closing = replace(QUESTIONS, deadline_rule=close_the_other_too)
    ledger = SmallLedger(rulebook=Rulebook((*REGISTERS, closing)))
    ledger.put(HOUSING, Ask(question="second", due_ms=start + 2_000), Ask(question="first", due_ms=start + 1_500))
    execution = ledger.execute(time_ms=start + 60_000)
    assert execution.record.deadlines == (question_key("first"),)
    assert outcome(ledger, "second") == "open"
    assert len(ledger.state.pending_deadlines) == 0


def test_a_refused_record_sets_no_deadline(rulebook: Rulebook) -> None:
    """Neither the pending list nor the state has it."""
    ledger = SmallLedger(rulebook=rulebook)
    start = ledger.state.time_ms
    first, second = Ask(question="why", due_ms=start + 10_000), Ask(question="why", due_ms=start + 5_000)
    assert ledger.put(HOUSING, first, second) == ["accepted", "asked_before"]
    assert ledger.state.get(deadline_key(second.due_ms, question_key("why")), Deadline) is None
    assert ledger.execute(time_ms=start + 5_001).record.deadlines == ()


def test_deadlines_act_in_order_and_at_most_1000_a_block(rulebook: Rulebook) -> None:
    """By due time, then by key, whatever the order they were set in; the rest waits for the next block."""
    ledger = SmallLedger(rulebook=rulebook)
    start = ledger.state.time_ms
    count = DEADLINES_PER_BLOCK_MAX + 10
    asked = [Ask(question=f"{number:04}", due_ms=start + 10_000 - number % 7) for number in range(count)]
    ledger.execute(*(ledger.envelope(HOUSING, *asked[at : at + 256]) for at in range(0, count, 256)))
    expected = tuple(question_key(record.question) for record in sorted(asked, key=lambda r: (r.due_ms, r.question)))
    first = ledger.execute(time_ms=start + 10_001).record.deadlines
    second = ledger.execute(time_ms=start + 10_002).record.deadlines
    assert (len(first), first + second) == (DEADLINES_PER_BLOCK_MAX, expected)


def test_pending_deadlines_survive_a_restart() -> None:
    """They are part of the state: a state rebuilt from its bytes acts on them alike."""
    rulebook = Rulebook((*REGISTERS, QUESTIONS))
    ledger = SmallLedger(rulebook=rulebook)
    ledger.put(HOUSING, Ask(question="why", due_ms=ledger.state.time_ms + 10_000))
    rebuilt = State.of_snapshot(
        ledger.genesis,
        [(key, value.encode()) for key, value in ledger.state.items()],
        height=ledger.state.height,
        time_ms=ledger.state.time_ms,
        rulebook=rulebook,
    )
    late_ms = ledger.state.time_ms + 60_000
    assert rebuilt.root == ledger.state.root
    assert rebuilt.pending_deadlines.before(late_ms, limit=9) == ledger.state.pending_deadlines.before(late_ms, limit=9)
    assert len(rebuilt.pending_deadlines) == 1


def test_lifting_what_is_not_pending_is_our_mistake(rulebook: Rulebook) -> None:
    """A rule that lifts a deadline twice stops the node rather than letting members differ."""

    def lift(record: Ask, context: Context) -> None:
        context.lift_deadline(record.due_ms, b"questions/nothing")

    broken = Register(name="broken", description="", rules={Ask: lift}, values=(Question,), codes=QuestionsRefusal)
    ledger = SmallLedger(rulebook=Rulebook((*REGISTERS, broken)))
    with pytest.raises(InvariantBrokenError, match="no deadline"):
        ledger.put(HOUSING, Ask(question="why", due_ms=1))


def test_a_deadline_that_cannot_be_acted_upon_is_our_mistake() -> None:
    """Nobody spoke, so a refusal would reach nobody: the rule refuses, or its register has no rule."""

    def refuse(subject: bytes, context: Context) -> None:
        raise Refused(QuestionsRefusal.TOO_LATE)

    for rule in (refuse, None):
        ledger = SmallLedger(rulebook=Rulebook((*REGISTERS, replace(QUESTIONS, deadline_rule=rule))))
        ledger.put(HOUSING, Ask(question="why", due_ms=ledger.state.time_ms + 2_000))
        with pytest.raises(InvariantBrokenError, match="cannot be acted upon"):
            ledger.execute(time_ms=ledger.state.time_ms + 60_000)


def test_a_key_read_as_another_kind_is_our_mistake(rulebook: Rulebook) -> None:
    """Two registers that share a key stop the node, from a rule and from a query alike."""
    ledger = SmallLedger(rulebook=rulebook)
    key = question_key("why")
    ledger.put(HOUSING, Ask(question="why", due_ms=ledger.state.time_ms + 10_000))
    with pytest.raises(InvariantBrokenError, match="holds a Question, not a Deadline"):
        ledger.state.get(key, Deadline)

    def misread(record: Answer, context: Context) -> None:
        context.get(key, Deadline)

    reader = replace(QUESTIONS, rules={Ask: ask, Answer: misread})
    ledger = SmallLedger(rulebook=Rulebook((*REGISTERS, reader)))
    with pytest.raises(InvariantBrokenError, match="holds a Question, not a Deadline"):
        ledger.put(HOUSING, Ask(question="why", due_ms=ledger.state.time_ms + 10_000), Answer(question="why"))


def test_registers_share_no_name_tag_number_or_label() -> None:
    """A second claim is refused when the rulebook is made, and every value of the real ones has its register's name."""

    def variant(**changes: Any) -> Register:
        return Register(
            **{"name": "more", "description": "", "rules": {Answer: answer}, "values": (), "codes": NoCodes} | changes
        )

    class NoCodes(RefusalCode):
        pass

    class Other(RefusalCode):
        SOMETHING_ELSE = (240, "", "")

    class SameLabel(RefusalCode):
        TOO_LATE = (242, "", "")

    for second, claim in (
        (variant(name="questions"), "register questions"),
        (variant(rules={Ask: ask}), "record questions.ask"),
        (variant(rules={}, codes=Other), "code number 240"),
        (variant(rules={}, codes=SameLabel), "code label too_late"),
    ):
        with pytest.raises(ValueError, match=claim):
            Rulebook((QUESTIONS, second))
    for register in REGISTERS:
        for kind in (*register.rules, *register.values):
            tag = str(kind.__struct_config__.tag)
            assert tag.startswith((f"{register.name}.", f"{register.name}/"))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xc0",
        b"\x90",
        data_item().encode() + b"\x00",
        data_item().encode()[:-1],
        METADATA.encode(),
        data_item().encode().replace(b"publish_data_item", b"publish_data_iten"),
    ],
)
def test_other_bytes_are_no_record(raw: bytes) -> None:
    """Whatever the bytes: a record, or a `DecodeError`."""
    with pytest.raises(DecodeError):
        RULEBOOK.decode_record(raw)


def test_a_record_has_a_bound() -> None:
    """Bytes beyond it are not looked at."""
    with pytest.raises(OversizeError):
        RULEBOOK.decode_record(bytes(RECORD_BYTES_MAX + 1))


def test_state_keys_begin_with_the_name_of_their_register() -> None:
    """So that no register ever writes into another."""
    keys = {*catalogued().state.values, *governed.used().state.values}
    names = {register.name for register in REGISTERS}
    assert {key.partition(b"/")[0].decode() for key in keys} == names | {"deadlines"}


def test_every_record_and_value_has_one_byte_form() -> None:
    """What the rulebook encodes it decodes to the same."""
    ledger = SmallLedger()
    for _, value in ledger.state.items():
        assert RULEBOOK.decode_value(value.encode()) == value
    assert RULEBOOK.decode_record(data_item().encode()) == data_item()

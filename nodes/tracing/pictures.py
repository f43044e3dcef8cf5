"""A chain as a drawing: Mermaid for documents, DOT for Graphviz. Both are texts, made of the same boxes and arrows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ledger.proofs.statement import printable
from nodes.tracing.chain import Chain, Proof, Step, name_of

_COLOURS = {True: ("#d7ebe7", "#0b6b63"), None: ("#f7e8cd", "#8a5300"), False: ("#f8e1dc", "#a8261a")}
"""Ground and line of a box, by whether it is proven."""
_CLASSES = {True: "proven", None: "unproven", False: "contradicted"}

_ON_ITS_WORD = "the issuer's word"
"""What an arrow from a delivery to the issue says: the ledger shows that the one came before the other."""


@dataclass(frozen=True, slots=True)
class _Box:
    lines: tuple[str, ...]
    proof: Proof


@dataclass(frozen=True, slots=True)
class _Drawing:
    boxes: tuple[_Box, ...]
    arrows: tuple[tuple[int, int], ...]
    """From box to box, by their numbers."""
    claims: tuple[tuple[int, int], ...]
    """Arrows that no proof stands behind."""


def mermaid(chain: Chain) -> str:
    """Return the chain as a Mermaid flowchart, without a line end."""
    drawing = _drawing(chain)
    lines = ["flowchart TD"]
    for number, box in enumerate(drawing.boxes):
        text = "<br>".join(map(_in_mermaid, box.lines))
        lines.append(f'  n{number}["{text}"]:::{_CLASSES[box.proof.proven]}')
    lines += [f"  n{before} --> n{after}" for before, after in drawing.arrows]
    lines += [f'  n{before} -. "{_ON_ITS_WORD}" .-> n{after}' for before, after in drawing.claims]
    for proven, (ground, line) in _COLOURS.items():
        lines.append(f"  classDef {_CLASSES[proven]} fill:{ground},stroke:{line},color:#1c2430")
    return "\n".join(lines)


def dot(chain: Chain) -> str:
    """Return the chain as a graph in DOT, without a line end."""
    drawing = _drawing(chain)
    lines = ["digraph trace {", '  node [shape=box, style="rounded,filled", fontname="sans-serif"];']
    for number, box in enumerate(drawing.boxes):
        text = "\\n".join(map(_in_dot, box.lines))
        ground, line = _COLOURS[box.proof.proven]
        lines.append(f'  n{number} [label="{text}", fillcolor="{ground}", color="{line}"];')
    lines += [f"  n{before} -> n{after};" for before, after in drawing.arrows]
    lines += [f'  n{before} -> n{after} [style=dashed, label="{_ON_ITS_WORD}"];' for before, after in drawing.claims]
    lines.append("}")
    return "\n".join(lines)


def _drawing(chain: Chain) -> _Drawing:
    numbers = {id(step): number for number, step in enumerate(chain.steps)}
    status = len(chain.steps)
    arrows = [(numbers[id(before)], numbers[id(after)]) for before, after in chain.links()]
    own = chain.of("certificate")
    claims = [(numbers[id(step)], numbers[id(own[0])]) for step in chain.delivered()] if own else []
    if own:
        arrows.append((numbers[id(own[-1])], status))
    boxes = (*(_Box(tuple(_lines(step)), step.proof) for step in chain.steps), _status_box(chain))
    return _Drawing(boxes, tuple(arrows), tuple(claims))


def _lines(step: Step) -> Iterator[str]:
    yield step.title
    yield step.id
    yield step.by
    yield step.when
    yield _CLASSES[step.proof.proven]


def _status_box(chain: Chain) -> _Box:
    trace = chain.trace
    status = trace["status"].replace("_", " ").capitalize()
    as_of = f"as of block {trace['as_of']['height']}, {trace['as_of']['time']}"
    lines = (status, trace["certificate"], name_of(trace["issuer"]), as_of, _CLASSES[chain.status.proven])
    return _Box(lines, chain.status)


def _in_mermaid(text: str) -> str:
    """Return a text that is nothing but text between quotation marks: names come from a ledger."""
    return "".join(c if c not in _MERMAID_SPECIAL else f"#{ord(c)};" for c in printable(text))


_MERMAID_SPECIAL = frozenset('"#<>`%')
"""What ends a text, begins an entity, markup or Markdown, or with another per cent sign a directive."""


def _in_dot(text: str) -> str:
    return printable(text).replace("\\", "\\\\").replace('"', '\\"')

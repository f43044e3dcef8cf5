"""A chain in the W3C's vocabulary of provenance, as PROV-JSON.

Each step is an activity, by an agent; it makes a new version of what it is about, which is an entity. A version derives
from the one before, a type's first from the responsibility, a certificate's first from the type. Data that the issuer
had received influenced the certificate, on the issuer's word.

Source: PROV-DM (W3C Recommendation), PROV-JSON (W3C Member Submission 2013-04-24).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from nodes.tracing.chain import Chain, Step

NAMESPACE = "urn:mulu:"
PREFIXES = {"mulu": NAMESPACE, "prov": "http://www.w3.org/ns/prov#", "xsd": "http://www.w3.org/2001/XMLSchema#"}


def prov_json(chain: Chain) -> dict[str, Any]:
    """Return the chain as the object of a PROV-JSON document."""
    document = _Document()
    versions = {id(step): document.add_step(step, number) for number, step in enumerate(chain.steps)}
    for before, after in chain.links():
        document.relate(
            "wasDerivedFrom",
            {"prov:generatedEntity": versions[id(after)], "prov:usedEntity": versions[id(before)]},
        )
    if own := chain.of("certificate"):
        document.name_certificate(chain, versions[id(own[-1])])
        for step in chain.delivered():
            document.relate(
                "wasInfluencedBy",
                {
                    "prov:influencee": versions[id(own[0])],
                    "prov:influencer": versions[id(step)],
                    "mulu:claimedBy": _qualified("department", chain.trace["issuer"]["credit_code"]),
                },
            )
    return document.parts()


class _Document:
    """The parts of a document under construction."""

    def __init__(self) -> None:
        self._parts: dict[str, dict[str, Any]] = defaultdict(dict)
        self._relations = 0

    def parts(self) -> dict[str, Any]:
        """Return the document."""
        return {"prefix": PREFIXES, **self._parts}

    def relate(self, relation: str, attributes: Mapping[str, Any]) -> None:
        """Add a relation, which has no name of its own."""
        self._relations += 1
        self._parts[relation][f"_:r{self._relations}"] = dict(attributes)

    def add_step(self, step: Step, number: int) -> str:
        """Add a step; return the name of the version that it makes."""
        activity = f"mulu:step/{number}"
        times = {"prov:startTime": step.time, "prov:endTime": step.time} if step.time else {}
        self._parts["activity"][activity] = {
            **times,
            "prov:type": step.kind or "deadline",
            "prov:label": step.title,
            "mulu:proven": {True: "yes", False: "contradicted", None: "no"}[step.proof.proven],
            **({} if step.log_index is None else {"mulu:logIndex": step.log_index, "mulu:position": step.position}),
            **({} if step.height is None else {"mulu:block": step.height}),
        }
        thing = _qualified(step.subject, step.id)
        version = f"{thing}/{number}"
        self._parts["entity"].setdefault(thing, {"prov:label": step.id, "prov:type": step.subject})
        self._parts["entity"][version] = {"prov:type": step.subject}
        self.relate("specializationOf", {"prov:specificEntity": version, "prov:generalEntity": thing})
        self.relate("wasGeneratedBy", {"prov:entity": version, "prov:activity": activity, **_at(step)})
        if step.department is not None:
            self.relate(
                "wasAssociatedWith",
                {"prov:activity": activity, "prov:agent": self.add_department(step.department)},
            )
        return version

    def add_department(self, department: Mapping[str, str]) -> str:
        """Add a department as an agent; return its name."""
        agent = _qualified("department", department["credit_code"])
        labels = [
            {"$": department[key], "lang": language}
            for key, language in (("name_zh", "zh"), ("name_en", "en"))
            if department[key]
        ]
        self._parts["agent"][agent] = {"prov:type": {"$": "prov:Organization", "type": "prov:QUALIFIED_NAME"}}
        if labels:
            self._parts["agent"][agent]["prov:label"] = labels
        return agent

    def name_certificate(self, chain: Chain, newest: str) -> None:
        """Say how the certificate stands, and whose it is."""
        self._parts["entity"][newest]["mulu:status"] = chain.trace["status"]
        self._parts["entity"][newest]["mulu:asOfBlock"] = chain.trace["as_of"]["height"]
        agent = self.add_department(chain.trace["issuer"])
        self.relate("wasAttributedTo", {"prov:entity": newest, "prov:agent": agent})


def _qualified(kind: str, name: str) -> str:
    # Of what stands in an identifier, only these would be read as something else in a qualified name.
    return f"mulu:{kind}/{quote(name, safe='-./')}"


def _at(step: Step) -> dict[str, str]:
    return {"prov:time": step.time} if step.time else {}

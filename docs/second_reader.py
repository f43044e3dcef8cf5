"""A second reader of bundles, written from docs/formats.md alone: it shares no code with Mulu.

    python docs/second_reader.py BUNDLE POLICY

It ends with an error where a proof does not hold. What it leaves out against `mulu verify`: that the JSON is canonical,
that the records lead to the certificate's value, the holder's commitment, the policy's last day, and age.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
from base64 import b64decode
from pathlib import Path

import msgpack
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def require(holds, what):
    if not holds:
        raise SystemExit(f"it does not hold that {what}")


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def tag(kind):
    return f"mulu/{kind}/1\0".encode()


def check_signature(public, signature, message):
    Ed25519PublicKey.from_public_bytes(public).verify(signature, message)


def fields_of(data, kind):
    """Return the fields of a canonical value, without its tag and version."""
    value = msgpack.unpackb(data)
    require(value[:2] == [kind, 1], f"this is a {kind} of version 1")
    require(msgpack.packb(value) == data, f"the {kind} has its canonical form")
    return value[2:]


def log_root(leaf, index, size, path):
    """Climb from a leaf of an RFC 9162 tree (section 2.1.3.2)."""
    path = list(path)
    while size > 1:
        if index % 2:
            leaf = sha256(b"\1", path.pop(0), leaf)
        elif index + 1 < size:
            leaf = sha256(b"\1", leaf, path.pop(0))
        index, size = index // 2, (size + 1) // 2
    require(not path, "the path ends at the root")
    return leaf


def tree_root(leaves):
    """Return the root over all leaves of an RFC 9162 tree (section 2.1.1)."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1", tree_root(leaves[:half]), tree_root(leaves[half:]))


def state_root(key, value, siblings):
    """Climb from a value in the sparse tree: bit d of the hashed key, highest first, says left or right at depth d."""
    place = sha256(tag("state-key"), key)
    node = sha256(tag("state-leaf"), place, sha256(tag("state-value"), value))
    for depth, sibling in zip(reversed(range(len(siblings))), siblings, strict=True):
        goes_right = place[depth // 8] >> (7 - depth % 8) & 1
        node = sha256(tag("state-node"), *((sibling, node) if goes_right else (node, sibling)))
    return node


class Policy:
    def __init__(self, text):
        lines = [line.split(" ") for line in text.splitlines()]
        self.chain = bytes.fromhex(next(line[2] for line in lines if line[:2] == ["#", "chain"]))
        self.quorum = next(int(line[2]) for line in lines if line[0] == "group")
        vkeys = [line[2].split("+", 2) for line in lines if line[0] == "witness"]
        self.witnesses = {name: b64decode(key)[1:] for name, _, key in vkeys}


class Reader:
    """What is proven so far, from the policy outwards."""

    def __init__(self, bundle, policy):
        self.bundle, self.policy = bundle, policy
        self.size, self.root, self.signers = self._checkpoint(bundle["checkpoint"])
        require(bundle["block"]["index"] == self.size - 1, "the block record is the log's last entry")
        block = fields_of(self._entry(bundle["block"]), "log-block")
        self.height, self.state = block[0], block[4]

    def _checkpoint(self, note):
        """Step 1: a quorum of the policy's witnesses signed the three lines, each with a time of its own."""
        body, signatures = note.split("\n\n")
        signers = set()
        for line in signatures.splitlines():
            _, name, blob = line.split(" ")
            public, blob = self.policy.witnesses.get(name), b64decode(blob)
            if public and blob[:4] == sha256(name.encode(), b"\n\4", public)[:4]:
                time = int.from_bytes(blob[4:12], "big")
                check_signature(public, blob[12:], f"cosignature/v1\ntime {time}\n{body}\n".encode())
                signers.add(name)
        require(len(signers) >= self.policy.quorum, "a quorum signed the checkpoint")
        _origin, size, root = body.split("\n")
        return int(size), b64decode(root), signers

    def _entry(self, proof):
        """Step 2: an entry stands in the log."""
        entry = b64decode(proof["entry"])
        reached = log_root(sha256(b"\0", entry), proof["index"], self.size, map(b64decode, proof["path"]))
        require(reached == self.root, "the entry is in the log")
        return entry

    def value(self, proof, key, kind):
        """Step 3: a value stands in the state under a key that the reader computes."""
        data = b64decode(proof["value"])
        reached = state_root(key.encode(), data, [b64decode(sibling) for sibling in proof["siblings"]])
        require(reached == self.state, f"the state has this value under {key}")
        return fields_of(data, kind)

    def accepted(self, proof):
        """Step 4: a record was accepted; return who signed its envelope, the signature and what it is over."""
        header, suite, signature, results = fields_of(self._entry(proof["logged"]), "log-envelope")
        chain, department, key_id, _sequence, _valid_until, records_root, count = header[2:]
        require(suite == 1 and chain == self.policy.chain, "the envelope is of this network")
        leaf = sha256(b"\0", tag("record"), b64decode(proof["record"]))
        reached = log_root(leaf, proof["position"], count, map(b64decode, proof["path"]))
        require(reached == records_root, "the record is in the envelope")
        require(len(results) == count and results[proof["position"]] == 0, "the record was accepted")
        return (department, key_id), signature, sha256(tag("envelope"), msgpack.packb(header))


def content_root(parts):
    """Step 5: each field is committed to with its own salt, or hidden behind its leaf."""
    leaves = []
    for part in parts:
        if "leaf" in part:
            leaves.append(b64decode(part["leaf"]))
            continue
        texts = [part[name].encode() for name in ("name", "value")]
        data = tag("field") + b"".join(len(text).to_bytes(4, "big") + text for text in texts)
        leaves.append(sha256(b"\0", tag("content"), hmac.digest(b64decode(part["salt"]), data, "sha256")))
    return sha256(tag("content"), len(leaves).to_bytes(4, "big"), tree_root(leaves))


def main(bundle_file, policy_file):
    bundle = json.loads(Path(bundle_file).read_bytes())
    reader = Reader(bundle, Policy(Path(policy_file).read_text(encoding="utf-8")))
    state, identifier = bundle["state"], bundle["certificate"]

    key = f"certificates/certificate/{identifier}"
    certificate = reader.value(state["certificate"], key, "certificates/certificate")
    type_code, issuer, content, status = certificate[1], certificate[2], certificate[4], certificate[5]
    kind = reader.value(state["type"], f"certificates/type/{type_code}", "certificates/type")
    grounds = f"directories/responsibility/{kind[2]}"
    responsibility = reader.value(state["responsibility"], grounds, "directories/responsibility")
    department = reader.value(state["issuer"], f"members/department/{issuer}", "members/department")

    successor = department
    if responsibility[1] != issuer:
        # A reorganisation moved what the certificate rests on; the certificate goes on naming its issuer.
        successor = reader.value(state["successor"], f"members/department/{responsibility[1]}", "members/department")

    records = [reader.accepted(proof) for proof in [*bundle["records"], bundle["approval"]]]
    signers = sorted({signer for signer, _, _ in records})
    publics = {
        signer: reader.value(proof, f"members/envelope-key/{signer[0]}/{signer[1]}", "members/envelope-key")[2]
        for signer, proof in zip(signers, state["keys"], strict=True)
    }
    for signer, signature, message in records:
        check_signature(publics[signer], signature, message)
    if "content" in bundle:
        require(content_root(bundle["content"]) == content, "the fields are those of the certificate")

    print(f"{identifier} is stored as {status} as of block {reader.height}")
    print(f"issued by {department[1]} under {responsibility[0]}; {len(reader.signers)} departments cosigned")
    if successor is not department:
        print(f"{responsibility[0]} has passed to {successor[1]}")


if __name__ == "__main__":
    main(*sys.argv[1:])

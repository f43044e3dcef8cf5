"""A connection belongs to a registered key, whatever the certificate around it says about names and dates."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from nodes.transport.channel import RECORD_BYTES_MAX, TlsChannel
from nodes.transport.tls import (
    PROTOCOL,
    TlsIdentity,
    certificate_spki_hash,
    client_context,
    days_left,
    make_identity,
    peer_spki_hash,
    server_context,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def alice() -> TlsIdentity:
    return make_identity("alice", now=NOW)


@pytest.fixture(scope="module")
def bob() -> TlsIdentity:
    return make_identity("bob", now=NOW)


def deliver(sender: TlsChannel, receiver: TlsChannel) -> None:
    receiver.receive(sender.take_outgoing())


def shake_hands(client: TlsChannel, server: TlsChannel) -> None:
    """Pass flights to and fro until both ends are through; an error of either end comes out."""
    done = False
    while not done:
        client_done = client.shake_hands()
        deliver(client, server)
        server_done = server.shake_hands()
        deliver(server, client)
        done = client_done and server_done


def connect(client: ssl.SSLContext, server: ssl.SSLContext) -> tuple[TlsChannel, TlsChannel]:
    ends = TlsChannel(client, server_side=False), TlsChannel(server, server_side=True)
    shake_hands(*ends)
    return ends


def read_all(channel: TlsChannel) -> bytes:
    return b"".join(bytes(piece) for piece in channel.read())


def test_both_ends_learn_the_registered_key(alice: TlsIdentity, bob: TlsIdentity) -> None:
    """After the handshake each end holds the other's key hash, over TLS 1.3 and nothing older."""
    client, server = connect(client_context(alice, [bob.certificate_pem]), server_context(bob, [alice.certificate_pem]))
    assert peer_spki_hash(client.tls) == bob.spki_hash == certificate_spki_hash(bob.certificate_pem)
    assert peer_spki_hash(server.tls) == alice.spki_hash
    assert client.tls.version() == server.tls.version() == "TLSv1.3"


def test_bytes_arrive_whole_in_both_directions(alice: TlsIdentity, bob: TlsIdentity) -> None:
    """More than one record's worth is cut up and put together again."""
    client, server = connect(client_context(alice, [bob.certificate_pem]), server_context(bob, [alice.certificate_pem]))
    message = bytes(range(256)) * (3 * RECORD_BYTES_MAX // 256) + b"end"
    for sender, receiver in ((client, server), (server, client)):
        sender.write(message)
        deliver(sender, receiver)
        assert read_all(receiver) == message


def test_a_goodbye_ends_the_stream_after_its_last_bytes(alice: TlsIdentity, bob: TlsIdentity) -> None:
    """What was written before the goodbye is still read."""
    client, server = connect(client_context(alice, [bob.certificate_pem]), server_context(bob, [alice.certificate_pem]))
    client.write(b"last words")
    client.finish()
    deliver(client, server)
    pieces = server.read()
    assert bytes(next(pieces)) == b"last words"
    with pytest.raises(EOFError):
        next(pieces)


def test_a_tampered_record_is_refused(alice: TlsIdentity, bob: TlsIdentity) -> None:
    """One bit turned on the way gives an error, not a message."""
    client, server = connect(client_context(alice, [bob.certificate_pem]), server_context(bob, [alice.certificate_pem]))
    client.write(b"pay 10")
    ciphertext = bytearray(client.take_outgoing())
    ciphertext[-1] ^= 1
    server.receive(bytes(ciphertext))
    with pytest.raises(ssl.SSLError):
        read_all(server)


def test_a_stranger_is_refused_by_either_end(alice: TlsIdentity, bob: TlsIdentity) -> None:
    """A certificate that is nobody's trust anchor ends the handshake, even under the name of a member."""
    impostor = make_identity("alice", now=NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(client_context(impostor, [bob.certificate_pem]), server_context(bob, [alice.certificate_pem]))
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(client_context(bob, [alice.certificate_pem]), server_context(impostor, [bob.certificate_pem]))


def test_anchors_under_one_name_do_not_shadow_each_other(alice: TlsIdentity, bob: TlsIdentity) -> None:
    """A member that calls itself like another, or a key in rotation, cuts nobody off: each is told by its own key."""
    namesake = make_identity("alice", now=NOW)
    server = server_context(bob, [alice.certificate_pem, namesake.certificate_pem])
    for identity in (alice, namesake):
        _, end = connect(client_context(identity, [bob.certificate_pem]), server)
        assert peer_spki_hash(end.tls) == identity.spki_hash


def test_a_member_cannot_vouch_for_others(alice: TlsIdentity, bob: TlsIdentity) -> None:
    """A certificate that a member signed is not a member's."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.load_pem_x509_certificate(alice.certificate_pem)
    signing_key = load_pem_private_key(alice.key_pem, None)
    assert isinstance(signing_key, ec.EllipticCurvePrivateKey)
    issued = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "guest")]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .sign(signing_key, hashes.SHA256())
    )
    guest = TlsIdentity.of(key, issued.public_bytes(Encoding.PEM))
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(client_context(guest, [bob.certificate_pem]), server_context(bob, [alice.certificate_pem]))


def test_a_client_without_a_certificate_is_refused(bob: TlsIdentity, alice: TlsIdentity) -> None:
    """Authentication is mutual."""
    anonymous = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anonymous.check_hostname = False
    anonymous.load_verify_locations(cadata=bob.certificate_pem.decode())
    with pytest.raises(ssl.SSLError, match=r"(?i)certificate"):
        connect(anonymous, server_context(bob, [alice.certificate_pem]))


def test_an_older_protocol_is_refused(alice: TlsIdentity, bob: TlsIdentity) -> None:
    """A peer that offers TLS 1.2 at most gets no connection."""
    old = client_context(alice, [bob.certificate_pem])
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match=r"(?i)unsupported.protocol"):
        connect(old, server_context(bob, [alice.certificate_pem]))


def test_a_peer_that_names_no_protocol_is_refused(alice: TlsIdentity, bob: TlsIdentity) -> None:
    """A trusted key that speaks something else is told apart before its first frame."""
    mute = client_context(alice, [bob.certificate_pem])
    mute.set_alpn_protocols(["http/1.1"])
    _, server = connect(mute, server_context(bob, [alice.certificate_pem]))
    with pytest.raises(ssl.SSLError, match=PROTOCOL):
        peer_spki_hash(server.tls)


def test_expiry_warns_and_does_not_disconnect(bob: TlsIdentity) -> None:
    """A registered key whose certificate has long expired still connects; the days left say how long ago."""
    expired = make_identity("alice", now=datetime(2001, 1, 1, tzinfo=UTC), validity=timedelta(days=30))
    _, server = connect(client_context(expired, [bob.certificate_pem]), server_context(bob, [expired.certificate_pem]))
    assert peer_spki_hash(server.tls) == expired.spki_hash
    assert days_left(expired.certificate_pem, datetime(2001, 1, 24, tzinfo=UTC)) == 7
    assert days_left(expired.certificate_pem, datetime(2001, 2, 1, tzinfo=UTC)) == -1


def test_a_renewed_certificate_keeps_the_registered_hash(alice: TlsIdentity) -> None:
    """The ledger registers the key; certificates around it come and go, and the same inputs give the same one."""
    key = ec.derive_private_key(20260301, ec.SECP256R1())
    first, again = (make_identity("alice", now=NOW, key=key) for _ in range(2))
    renewed = make_identity("alice", now=NOW + timedelta(days=3_000), key=key)
    assert first == again
    assert renewed.spki_hash == first.spki_hash != alice.spki_hash
    assert renewed.certificate_pem != first.certificate_pem
    assert x509.load_pem_x509_certificate(renewed.certificate_pem).signature_algorithm_oid._name == "ecdsa-with-SHA256"


def test_another_curve_is_refused() -> None:
    """Path validation libraries agree on P-256; the caller learns at once that the key is something else."""
    with pytest.raises(ValueError, match="P-256"):
        make_identity("alice", now=NOW, key=ec.generate_private_key(ec.SECP384R1()))


def test_an_identity_does_not_print_its_key(alice: TlsIdentity) -> None:
    """A log line with an identity in it gives nothing away."""
    secret = alice.key_pem.splitlines()[1].decode()
    assert "PRIVATE" not in repr(alice)
    assert secret not in repr(alice)

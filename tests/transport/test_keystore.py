"""Keys at rest: readable by their owner's tools, by nobody else, and by one process at a time."""

from __future__ import annotations

import logging
import os
import ssl
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ledger.crypto.signatures import verify_strict
from nodes.keystore import EXCHANGE_KEY, TLS_CERTIFICATE, TLS_KEY, KeyName, Keystore, KeystoreError, KeystoreInUseError
from nodes.transport.tls import certificate_spki_hash, client_context

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SEED = b"a seed for tests"


def create(path: Path, *, seed: bytes | None = SEED, passphrase: bytes | None = None) -> Keystore:
    return Keystore.create(path, common_name="AF", now=NOW, seed=seed, passphrase=passphrase)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A closed keystore on disk."""
    create(tmp_path / "keys").close()
    return tmp_path / "keys"


def publics(keystore: Keystore) -> list[bytes]:
    return [keystore.signers[name].public for name in KeyName]


def test_keys_come_back_from_disk(tmp_path: Path) -> None:
    """What was created is what a later process opens, and it signs."""
    with create(tmp_path / "keys", seed=None) as created:
        expected, tls = publics(created), created.tls
    with Keystore.open(tmp_path / "keys") as opened:
        assert publics(opened) == expected
        assert opened.tls == tls
        for name in KeyName:
            signer = opened.signers[name]
            verify_strict(signer.public, b"message", signer.sign(b"message"))


def test_every_use_has_its_own_key(tmp_path: Path) -> None:
    """Neither within a node nor between nodes is a key used twice, unless the seed is."""
    with create(tmp_path / "a", seed=None) as a, create(tmp_path / "b", seed=None) as b:
        assert len({*publics(a), *publics(b)}) == 2 * len(KeyName)
        assert a.tls.spki_hash != b.tls.spki_hash


def test_a_seed_gives_the_same_keys_each_time(tmp_path: Path) -> None:
    """Simulations repeat themselves, certificates included; another seed shares nothing."""
    with create(tmp_path / "a") as a, create(tmp_path / "b") as b, create(tmp_path / "c", seed=b"other") as c:
        assert publics(a) == publics(b)
        assert a.tls == b.tls
        assert not {*publics(a), a.tls.spki_hash} & {*publics(c), c.tls.spki_hash}


def test_the_exchange_key_comes_back_from_disk(tmp_path: Path) -> None:
    """It opens what was sealed to it before the process ended; a seed gives the same one."""
    with create(tmp_path / "keys", seed=None) as created:
        public = created.exchange.public_key().public_bytes_raw()
    with Keystore.open(tmp_path / "keys") as opened:
        assert opened.exchange.public_key().public_bytes_raw() == public
    with create(tmp_path / "a") as a, create(tmp_path / "b") as b:
        assert a.exchange.private_bytes_raw() == b.exchange.private_bytes_raw()


def test_a_keystore_of_an_earlier_version_gets_an_exchange_key(keys: Path) -> None:
    """At its first opening, once, as private as the others."""
    (keys / EXCHANGE_KEY).unlink()
    with Keystore.open(keys) as first:
        public = first.exchange.public_key().public_bytes_raw()
    assert (keys / EXCHANGE_KEY).stat().st_mode & 0o777 == 0o600
    with Keystore.open(keys) as second:
        assert second.exchange.public_key().public_bytes_raw() == public


def test_another_kind_of_key_is_no_exchange_key(keys: Path) -> None:
    """A signing key in its place is named."""
    (keys / EXCHANGE_KEY).write_bytes((keys / "log.pem").read_bytes())
    with pytest.raises(KeystoreError, match="not an X25519 key"):
        Keystore.open(keys)


def test_the_transport_identity_is_ready_for_tls(keys: Path) -> None:
    """The certificate is about the key, and the TLS library takes both."""
    with Keystore.open(keys) as keystore:
        assert certificate_spki_hash(keystore.tls.certificate_pem) == keystore.tls.spki_hash
        assert isinstance(client_context(keystore.tls, []), ssl.SSLContext)


def test_files_are_private_from_the_first_moment(tmp_path: Path) -> None:
    """A permissive umask makes no difference, and nothing is left over beside the directory."""
    before = os.umask(0)
    try:
        create(tmp_path / "keys").close()
    finally:
        os.umask(before)
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "keys").iterdir()} == {0o600}
    assert list(tmp_path.iterdir()) == [tmp_path / "keys"]


def test_keys_are_never_overwritten(keys: Path) -> None:
    """Creating where something is leaves it as it was."""
    before = {file.name: file.read_bytes() for file in keys.iterdir()}
    with pytest.raises(KeystoreError, match="exists already"):
        create(keys, seed=b"other")
    assert {file.name: file.read_bytes() for file in keys.iterdir()} == before


@pytest.mark.parametrize("name", [".", *(f"{name.value}.pem" for name in KeyName), TLS_KEY])
@pytest.mark.parametrize("extra", [0o040, 0o004, 0o020, 0o010])
def test_exposed_keys_are_refused(keys: Path, name: str, extra: int) -> None:
    """One permission bit for anybody else, on the directory or on a file, and the node does not start."""
    exposed = keys / name
    exposed.chmod(exposed.stat().st_mode | extra)
    with pytest.raises(KeystoreError, match="exposes the keys"):
        Keystore.open(keys)


def test_somebody_elses_keys_are_refused(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner of the directory is the user of the process, root included."""
    monkeypatch.setattr(os, "geteuid", lambda: keys.stat().st_uid + 1)
    with pytest.raises(KeystoreError, match="belongs to user"):
        Keystore.open(keys)


def test_links_are_not_followed(keys: Path, tmp_path: Path) -> None:
    """Neither the directory nor a key in it may lie somewhere else, where its owner's rules do not hold."""
    (tmp_path / "link").symlink_to(keys)
    with pytest.raises(KeystoreError, match="cannot be opened"):
        Keystore.open(tmp_path / "link")
    (keys / "log.pem").rename(tmp_path / "log.pem")
    (keys / "log.pem").symlink_to(tmp_path / "log.pem")
    with pytest.raises(KeystoreError, match=r"log\.pem cannot be read"):
        Keystore.open(keys)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["directory", "pipe"])
def test_what_is_no_file_is_refused(keys: Path, make: Callable[[Path], None]) -> None:
    """A directory or a pipe in the place of a key is named, and nobody waits for what comes out of it."""
    (keys / "log.pem").unlink()
    make(keys / "log.pem")
    (keys / "log.pem").chmod(0o600)
    with pytest.raises(KeystoreError, match=r"log\.pem is not a file"):
        Keystore.open(keys)


def test_a_second_opening_is_refused_until_the_first_is_closed(keys: Path) -> None:
    """The lock is on the directory, and goes with the one who holds it."""
    with Keystore.open(keys), pytest.raises(KeystoreInUseError):
        Keystore.open(keys)
    Keystore.open(keys).close()


def test_another_process_cannot_use_the_same_keys(keys: Path) -> None:
    """A second process is told that the keys are in use, and ends."""
    program = f"from pathlib import Path; from nodes.keystore import Keystore; Keystore.open(Path({str(keys)!r}))"
    command = [sys.executable, "-c", program]
    root = Path(__file__).parents[2]
    with Keystore.open(keys):
        refused = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode != 0
    assert "KeystoreInUseError" in refused.stderr
    assert subprocess.run(command, cwd=root, timeout=60, check=False).returncode == 0


def test_a_failed_opening_gives_up_the_lock(keys: Path) -> None:
    """Once the operator has mended the directory, the next start works."""
    (keys / "log.pem").chmod(0o644)
    with pytest.raises(KeystoreError):
        Keystore.open(keys)
    (keys / "log.pem").chmod(0o600)
    Keystore.open(keys).close()


@pytest.mark.parametrize("name", [*(f"{name.value}.pem" for name in KeyName), TLS_KEY, TLS_CERTIFICATE])
def test_a_missing_or_damaged_file_is_named(keys: Path, name: str) -> None:
    """The operator reads which file it is, whether it is gone or is something else."""
    (keys / name).write_bytes(b"not a key")
    with pytest.raises(KeystoreError, match=name):
        Keystore.open(keys)
    (keys / name).unlink()
    with pytest.raises(KeystoreError, match=name):
        Keystore.open(keys)


def test_files_that_changed_places_are_refused(keys: Path, tmp_path: Path) -> None:
    """One key in two places, a key of another kind, or a certificate about another key: each is told apart."""
    consensus, tls = (keys / "consensus.pem").read_bytes(), (keys / TLS_KEY).read_bytes()
    (keys / "log.pem").write_bytes(consensus)
    with pytest.raises(KeystoreError, match="same key"):
        Keystore.open(keys)
    (keys / "log.pem").write_bytes(tls)
    with pytest.raises(KeystoreError, match="another sort of key than Ed25519"):
        Keystore.open(keys)
    with create(tmp_path / "other", seed=b"other") as other:
        (tmp_path / "whole").mkdir(mode=0o700)
        create(tmp_path / "whole" / "keys").close()
        (tmp_path / "whole" / "keys" / TLS_CERTIFICATE).write_bytes(other.tls.certificate_pem)
    with pytest.raises(KeystoreError, match="not about the key"):
        Keystore.open(tmp_path / "whole" / "keys")


def test_a_passphrase_is_needed_where_one_was_set(tmp_path: Path, keys: Path) -> None:
    """The right one opens the same keys; none, a wrong one, and one where none was set do not."""
    path = tmp_path / "locked"
    with create(path, passphrase=b"correct horse") as locked:
        expected = publics(locked)
    with Keystore.open(keys) as plain:
        assert publics(plain) == expected
    for wrong in (None, b"battery staple", b""):
        with pytest.raises(KeystoreError, match="not a"):
            Keystore.open(path, passphrase=wrong)
    with pytest.raises(KeystoreError, match="under this passphrase"):
        Keystore.open(keys, passphrase=b"correct horse")


def test_standard_tools_read_the_files(tmp_path: Path) -> None:
    """Encrypted or not, a key is PKCS#8 in PEM; encrypted, it says scrypt."""
    scrypt_oid = bytes.fromhex("2b06010401da47040b")
    for name, passphrase in (("plain", None), ("locked", b"correct horse")):
        with create(tmp_path / name, passphrase=passphrase) as keystore:
            content = (tmp_path / name / "consensus.pem").read_bytes()
            key = load_pem_private_key(content, passphrase)
            assert isinstance(key, Ed25519PrivateKey)
            assert key.public_key().public_bytes_raw() == keystore.signers[KeyName.CONSENSUS].public
            assert (scrypt_oid in ssl.PEM_cert_to_DER_cert(_as_certificate(content))) == (passphrase is not None)


def _as_certificate(pem: bytes) -> str:
    """Relabel PEM, for the one decoder of PEM in the standard library."""
    body = "\n".join(pem.decode().splitlines()[1:-1])
    return f"{ssl.PEM_HEADER}\n{body}\n{ssl.PEM_FOOTER}"


def test_no_key_shows_in_text(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the keystore nor what comes out of it, nor any error or log line on the way, holds a private key."""
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "keys"
    with create(path) as keystore:
        shown = [repr(keystore), str(keystore), repr(keystore.signers), repr(keystore.tls), repr(vars(keystore))]
        with pytest.raises(KeystoreError) as in_use:
            Keystore.open(path)
    with pytest.raises(KeystoreError) as wrong:
        Keystore.open(path, passphrase=b"hush")
    text = "\n".join([*shown, repr(in_use.value), repr(wrong.value), caplog.text])
    secrets = [line for file in path.glob("*.pem") if file.name != TLS_CERTIFICATE for line in _body(file)]
    assert secrets
    assert not [secret for secret in secrets if secret in text]
    assert "hush" not in text


def _body(file: Path) -> list[str]:
    return file.read_text().splitlines()[1:-1]

"""A node's keys at rest: one directory that nobody else can read and only one process at a time can use.

The directory (0700) holds a file (0600) a key, in PKCS#8 PEM as every common tool reads it, and the transport
certificate. `Keystore.open` refuses a directory that others can read or that belongs to somebody else, and takes an
exclusive lock for as long as it is open: two processes that sign with one consensus key vote against each other (P23).
The lock holds on one machine. Against a copy of the directory elsewhere, a node listens before it votes.

Keys never leave this module except as things that sign; the transport key alone goes to the TLS library, and the
exchange key to whoever opens deliveries.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import stat
import tempfile
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ledger.crypto.signatures import Signer, SigningKey
from ledger.errors import LedgerError
from nodes.pkcs8 import to_pem
from nodes.transport.tls import TlsIdentity, make_identity

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Order of the group of P-256 (SEC 2, 2.4.2): private keys are 1 to this less one."""

FILE_BYTES_MAX = 65_536
"""Far above any key or certificate; a wrong file in the place of one is not read into memory whole."""

TLS_KEY, TLS_CERTIFICATE = "tls.pem", "tls.certificate.pem"
EXCHANGE_KEY = "exchange.pem"


class KeyName(Enum):
    """The keys that sign. Each has one use, so that a signature for one can never be taken for another."""

    CONSENSUS = "consensus"
    """Proposals, votes and timeouts."""
    COSIGNER = "cosigner"
    """Checkpoints, as one of a quorum."""
    LOG = "log"
    """The log line of a checkpoint this node serves."""
    ENVELOPE = "envelope"
    """Envelopes of the department, from this node's gateway."""


class KeystoreError(LedgerError):
    """The keys at rest cannot be used as they are; the operator must look at the directory. The node does not start."""

    code = "keystore"


class KeystoreInUseError(KeystoreError):
    """Another process holds the lock on the keys."""

    code = "keystore_in_use"


class Keystore:
    """The open keys of one node. Close it, or use it in a `with`, to give up the lock.

    Open it in the process that will use it: a forked child shares its parent's lock, and either of them can give it up.
    """

    def __init__(
        self,
        path: Path,
        directory: int,
        signers: Mapping[KeyName, Signer],
        tls: TlsIdentity,
        exchange: X25519PrivateKey,
    ) -> None:
        """Use `create` or `open`. `directory` is a descriptor that carries the lock."""
        self.path = path
        self.signers = signers
        self.tls = tls
        self.exchange = exchange
        """Opens what others deliver. Its public half goes into requests, whose signatures say whose it is."""
        self._directory: int | None = directory

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        common_name: str,
        now: datetime,
        seed: bytes | None = None,
        passphrase: bytes | None = None,
    ) -> Self:
        """Make new keys under `path` and open them. They are on disk, all of them, before this returns.

        Args:
            path: Does not exist yet; its parent does.
            common_name: Goes into the transport certificate, for people to read.
            now: Aware; the certificate's first day.
            seed: None takes the system's randomness. Bytes make the same keys each time, for simulations: whoever
                knows the seed has the keys.
            passphrase: Encrypts each private key (scrypt, AES-256).

        Raises:
            KeystoreError: The path exists.
        """
        if path.exists() or path.is_symlink():
            raise KeystoreError(f"{path} exists already; keys are never overwritten")
        secret: Callable[[str], bytes]
        secret = (lambda _: os.urandom(32)) if seed is None else (lambda name: derive(seed, name))
        tls_key = _p256_key(secret("tls"))
        files: dict[str, bytes] = {
            _file_name(name): to_pem(Ed25519PrivateKey.from_private_bytes(secret(name.value)), passphrase)
            for name in KeyName
        }
        files[EXCHANGE_KEY] = to_pem(X25519PrivateKey.from_private_bytes(secret("exchange")), passphrase)
        files[TLS_KEY] = to_pem(tls_key, passphrase)
        files[TLS_CERTIFICATE] = make_identity(common_name, now=now, key=tls_key).certificate_pem
        # Written beside and renamed: a directory with some of its keys is never seen under the final name.
        partial = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        for name, content in files.items():
            _write_new_file(partial / name, content)
        _sync_directory(partial)
        partial.rename(path)
        _sync_directory(path.parent)
        return cls.open(path, passphrase=passphrase)

    @classmethod
    def open(cls, path: Path, *, passphrase: bytes | None = None) -> Self:
        """Lock the directory at `path`, check it, and load its keys.

        Directories of earlier versions have no exchange key; it is made then, since nobody can have named it yet.

        Raises:
            KeystoreInUseError: Another process, or another `Keystore` of this one, has it open.
            KeystoreError: Somebody else could have read a key, a file is missing or is not the key it should be, or
                the passphrase does not fit. The message names the file.
        """
        try:
            directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise KeystoreError(f"{path} cannot be opened as a directory of keys: {error.strerror}") from error
        try:
            _check_private(path, os.fstat(directory), 0o700)
            try:
                fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise KeystoreInUseError(f"{path} is in use by another process: stop that one first") from error
            signers = {name: _load_signer(path, directory, name, passphrase) for name in KeyName}
            if len({signer.public for signer in signers.values()}) < len(signers):
                raise KeystoreError(f"two files in {path} hold the same key; each use needs its own")
            tls = _load_tls(path, directory, passphrase)
            exchange = _load_exchange(path, directory, passphrase)
        except BaseException:
            os.close(directory)
            raise
        return cls(path, directory, signers, tls, exchange)

    def close(self) -> None:
        """Give up the lock. Doing it twice does no harm."""
        if self._directory is not None:
            os.close(self._directory)
            self._directory = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Keystore({str(self.path)!r})"


def load_signer(file: Path) -> Signer:
    """Return the key in one file of a directory of keys, for a signature that no other process could contradict.

    The lock on the directory stays with the node, which may be running: it is there for the consensus key.

    Raises:
        KeystoreError: Somebody else could have read it, or it is not an unencrypted Ed25519 key.
    """
    try:
        directory = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise KeystoreError(f"{file.parent} cannot be opened as a directory of keys: {error.strerror}") from error
    try:
        return _signer_of(file.parent, directory, file.name, None)
    finally:
        os.close(directory)


def derive(seed: bytes, name: str) -> bytes:
    """Return 32 bytes that belong to `name` under `seed`: HMAC-SHA256, so that no key tells anything of another."""
    return hmac.digest(seed, b"mulu/key/1\x00" + name.encode(), hashlib.sha256)


def _file_name(name: KeyName) -> str:
    return f"{name.value}.pem"


def _p256_key(secret: bytes) -> ec.EllipticCurvePrivateKey:
    """Return the P-256 key of 32 uniform bytes. The reduction is off from uniform by about 2 to the minus 32."""
    return ec.derive_private_key(int.from_bytes(secret, "big") % (P256_ORDER - 1) + 1, ec.SECP256R1())


def _load_signer(path: Path, directory: int, name: KeyName, passphrase: bytes | None) -> SigningKey:
    return _signer_of(path, directory, _file_name(name), passphrase)


def _signer_of(path: Path, directory: int, file: str, passphrase: bytes | None) -> SigningKey:
    key = _load(path, directory, file, passphrase)
    if not isinstance(key, Ed25519PrivateKey):
        raise KeystoreError(f"{path / file} holds another sort of key than Ed25519 ({type(key).__name__})")
    return SigningKey(key)


def _load_tls(path: Path, directory: int, passphrase: bytes | None) -> TlsIdentity:
    key = _load(path, directory, TLS_KEY, passphrase)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeystoreError(f"{path / TLS_KEY} holds a {type(key).__name__}, not an ECDSA key")
    try:
        return TlsIdentity.of(key, _read(path, directory, TLS_CERTIFICATE))
    except ValueError as error:
        raise KeystoreError(f"{path / TLS_CERTIFICATE}: {error}") from error


def _load_exchange(path: Path, directory: int, passphrase: bytes | None) -> X25519PrivateKey:
    if not (path / EXCHANGE_KEY).exists():
        _write_new_file(path / EXCHANGE_KEY, to_pem(X25519PrivateKey.generate(), passphrase))
        _sync_directory(path)
    key = _load(path, directory, EXCHANGE_KEY, passphrase)
    if not isinstance(key, X25519PrivateKey):
        raise KeystoreError(f"{path / EXCHANGE_KEY} holds a {type(key).__name__}, not an X25519 key")
    return key


def _load(path: Path, directory: int, name: str, passphrase: bytes | None) -> PrivateKeyTypes:
    content = _read(path, directory, name)
    try:
        return load_pem_private_key(content, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The library's message is left out, and so is its chain: neither is promised to be free of what it read.
        expected = "an unencrypted private key" if passphrase is None else "a private key under this passphrase"
        raise KeystoreError(f"{path / name} is not {expected} in PEM") from None


def _read(path: Path, directory: int, name: str) -> bytes:
    """Return the content of a file that nobody else could have read or written. What is checked is what is read."""
    try:
        # Without waiting: at a pipe in the place of a key it would be for ever.
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    except OSError as error:
        raise KeystoreError(f"{path / name} cannot be read: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise KeystoreError(f"{path / name} is not a file")
        _check_private(path / name, status, 0o600)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(FILE_BYTES_MAX)
    finally:
        os.close(descriptor)


def _check_private(path: Path, status: os.stat_result, allowed: int) -> None:
    """Check that `path` belongs to this process's user and has no permission beyond `allowed`."""
    if status.st_uid != os.geteuid():
        raise KeystoreError(f"{path} belongs to user {status.st_uid}, and this process is user {os.geteuid()}")
    if (mode := stat.S_IMODE(status.st_mode)) & ~allowed:
        raise KeystoreError(
            f"{path} has mode {mode:04o}, and more than {allowed:04o} exposes the keys: "
            f"see who could have read them, then chmod {allowed:o} {path}"
        )


def _write_new_file(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

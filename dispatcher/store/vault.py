"""Personal data apart from the chain: a key for each stream, wrapped by the master key, and keyed digests.

The master key lives in a file of its own (0600), outside the database and outside its backups. Whoever has the
database alone can read no sealed field and look up no number. Destroying a stream's key destroys its sealed
fields in every backup of the database too, once the key backups have run out.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from dispatcher.store.errors import StoreError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12
SALT_BYTES = 16


class BadKeyFile(StoreError):
    """The master key file cannot be used."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"vault key file {path}: {why}")
        self.path = path
        self.why = why


class CannotUnseal(StoreError):
    """Sealed bytes do not belong to this key: changed, erased, or sealed under another master key."""


class Sealing:
    """One stream's sealed fields and wrapped key, ready for the database."""

    __slots__ = ("sealed", "wrapped")

    def __init__(self, sealed: bytes, wrapped: bytes) -> None:
        self.sealed = sealed
        self.wrapped = wrapped


class Vault:
    """Seals and unseals under one master key. Keys are derived from it, one for each use: wrapping, digests, signing."""

    def __init__(self, master: bytes) -> None:
        if len(master) != KEY_BYTES:
            raise ValueError(f"a master key has {KEY_BYTES} bytes, not {len(master)}")
        self._wrap_key = _derive(master, "wrap")
        self._number_key = _derive(master, "number")
        self.command_key = _derive(master, "command")
        self._sign_key = _derive(master, "sign")
        self.master = _derive(master, "name").hex()[:16]

    @classmethod
    def open(cls, path: Path) -> Vault:
        """Read the master key, making it on first use.

        Raises:
            BadKeyFile: others may read it, or it holds no key.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(handle, "w") as file:
                os.fchmod(handle, 0o600)  # whatever the umask
                file.write(os.urandom(KEY_BYTES).hex() + "\n")
                file.flush()
                os.fsync(file.fileno())
        if path.stat().st_mode & 0o077:
            raise BadKeyFile(path, "others may read it; run: chmod 600 " + str(path))
        try:
            return cls(bytes.fromhex(path.read_text().strip()))
        except ValueError as err:
            raise BadKeyFile(
                path, f"holds no key of {KEY_BYTES} bytes in hex; restore it from its backup"
            ) from err

    def seal(self, stream_id: UUID, plain: bytes) -> Sealing:
        """Encrypt under a new key of the stream's own; the key before it (if any) is to be replaced."""
        draw = os.urandom(KEY_BYTES + 2 * NONCE_BYTES)
        key, nonce, wrap_nonce = draw[:32], draw[32:44], draw[44:]
        aad = stream_id.bytes
        return Sealing(
            nonce + _aes(key).encrypt(nonce, plain, aad),
            wrap_nonce + self._wrap.encrypt(wrap_nonce, key, aad),
        )

    def unseal(self, stream_id: UUID, sealed: bytes, wrapped: bytes) -> bytes:
        """The personal fields of a stream.

        Raises:
            CannotUnseal: changed, erased or sealed under another master key.
        """
        from cryptography.exceptions import InvalidTag

        aad = stream_id.bytes
        try:
            key = self._wrap.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], aad)
            return _aes(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], aad)
        except (InvalidTag, ValueError) as err:
            raise CannotUnseal(f"sealed fields of stream {stream_id} do not open with this key") from err

    def number_digest(self, number: str) -> bytes:
        """HMAC-SHA256 of a telephone number: equal numbers are found, none can be read back."""
        return hmac.digest(self._number_key, number.encode(), "sha256")

    def sign(self, words: bytes) -> tuple[str, str]:
        """The Ed25519 public key and signature over some words, hex."""
        return self.signer, self._signing.sign(words).hex()

    @cached_property
    def signer(self) -> str:
        """The public key by which this deployment's signatures are known, hex."""
        return self._signing.public_key().public_bytes_raw().hex()

    @cached_property
    def _signing(self) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self._sign_key)

    @cached_property
    def _wrap(self) -> AESGCM:
        return _aes(self._wrap_key)


def signed_by(signer: str, signature: str, words: bytes) -> bool:
    """Whether a signature over some words is by the public key ``signer`` (both hex)."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(signer)).verify(bytes.fromhex(signature), words)
    except (InvalidSignature, ValueError):
        return False
    return True


def text_digest(stream_id: UUID, no: int, field: str, words: str, salt: bytes) -> str:
    """The salted digest of a text, as the chain holds it. The salt is erased with the words."""
    return hmac.digest(
        salt, b"%s|%d|%s|%s" % (stream_id.bytes, no, field.encode(), words.encode()), "sha256"
    ).hex()


def row_digest(stream_id: UUID, title: str | None, caller_mac: bytes | None, salt: bytes) -> str:
    """The salted digest of a stream row's erasable columns, as the chain holds it."""
    said = b"-" if title is None else b"+%d:%s" % (len(title), title.encode())
    return hmac.digest(salt, b"%s|row|%s|%s" % (stream_id.bytes, said, caller_mac or b""), "sha256").hex()


def effect_digest(body: bytes) -> str:
    """The digest of an outbox body, as the chain holds it. Effects hold no personal data, so it needs no salt."""
    return hashlib.sha256(body).hexdigest()


def sealed_digest(sealed: bytes) -> str:
    """The digest of sealed fields, as the chain holds it: of the ciphertext, so it can be proved without keys."""
    return hashlib.sha256(sealed).hexdigest()


def new_salt() -> bytes:
    """A fresh salt for a text."""
    return os.urandom(SALT_BYTES)


def _derive(master: bytes, use: str) -> bytes:
    return hmac.digest(master, b"liandong/" + use.encode(), "sha256")


def _aes(key: bytes) -> AESGCM:
    return _cipher()(key)


@cache
def _cipher() -> type[AESGCM]:
    # Imported late: small commands of the CLI must start without loading OpenSSL.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM

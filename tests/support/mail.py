"""A real mail server (aiosmtpd) on loopback, on the test's own loop, and one class for each way to misbehave."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, PASSWORD = "liandong", "a mail password"


class MailServer:
    """Takes letters. With a certificate it speaks TLS from the first byte and asks who is there."""

    def __init__(self, certificate: tuple[Path, Path] | None = None) -> None:
        self.letters: list[EmailMessage] = []
        self.port = 0
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self._context.load_cert_chain(*certificate)
        self._server: asyncio.Server | None = None
        self._open: list[SMTP] = []

    async def __aenter__(self) -> Self:
        def made() -> SMTP:
            smtp = SMTP(
                self,
                hostname="mail.test",
                ident="test",
                authenticator=self._knows if self._context else None,
                auth_required=self._context is not None,
                auth_require_tls=False,
                loop=asyncio.get_running_loop(),
            )
            self._open.append(smtp)
            return smtp

        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(made, "127.0.0.1", 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for smtp in self._open:
            if isinstance(smtp.transport, asyncio.Transport):
                smtp.transport.abort()
        await self._server.wait_closed()

    def _knows(self, server: SMTP, session: Session, envelope: Envelope, how: str, who: Any) -> AuthResult:
        right = LoginPassword(USER.encode(), PASSWORD.encode())
        return AuthResult(success=isinstance(who, LoginPassword) and who == right, handled=False)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        letter = message_from_bytes(content, policy=policy.default)
        assert isinstance(letter, EmailMessage)
        return await self.answer(server, letter)

    async def answer(self, server: SMTP, letter: EmailMessage) -> str:
        """What this server does with a letter."""
        self.letters.append(letter)
        return "250 taken"


class AnsweringServer(MailServer):
    """Answers every letter with the same line."""

    def __init__(self, line: str) -> None:
        super().__init__()
        self._line = line

    async def answer(self, server: SMTP, letter: EmailMessage) -> str:
        return self._line


class UnknownReceiverServer(MailServer):
    """Knows nobody."""

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        return "550 no such mailbox"


class BusyServer(MailServer):
    """Is full the first time, and then takes it."""

    def __init__(self) -> None:
        super().__init__()
        self._asked = False

    async def answer(self, server: SMTP, letter: EmailMessage) -> str:
        if self._asked:
            return await super().answer(server, letter)
        self._asked = True
        return "452 full"


class SlowServer(MailServer):
    """Takes the letter and never answers."""

    async def answer(self, server: SMTP, letter: EmailMessage) -> str:
        await asyncio.Event().wait()
        return "250 taken"


class DroppingServer(MailServer):
    """Takes the letter and cuts the line instead of answering, the first time: was it taken or not?"""

    async def answer(self, server: SMTP, letter: EmailMessage) -> str:
        self.letters.append(letter)
        if len(self.letters) == 1:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        return "250 taken"


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key, in files; the certificate is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    made = datetime(2026, 1, 1, tzinfo=UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(made)
        .not_valid_after(made + timedelta(days=365 * 50))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, secret = folder / "mail.crt", folder / "mail.key"
    chain.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return chain, secret

"""Notices by e-mail, over one SMTP server (RFC 5321), with both languages in one letter.

The Message-ID comes from the effect's own key: a letter sent again after an answer was lost is known by it to mail
programs and archives, most of which keep one of the two.
"""

from __future__ import annotations

import asyncio
import ssl
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final

import aiosmtplib

from adapters.notice.channel import Letter, Taken
from dispatcher.languages import CHINESE, ENGLISH
from dispatcher.ports import Clock, GiveUp, TryLater
from dispatcher.settings import Smtp

_NOT_OUR_FAULT: Final = frozenset({530, 534, 535, 538})
"""Answers about signing in: the deployment is set up wrongly, the letter is not to blame."""


def email_channel(settings: Smtp, clock: Clock) -> EmailChannel:
    """The channel for these settings.

    Raises:
        OSError: the password or the certificate cannot be read.
    """
    password = settings.password_file.read_text("utf-8").strip() if settings.password_file else ""
    context = ssl.create_default_context(cafile=settings.ca_file) if settings.security != "none" else None
    return EmailChannel(settings, password, context, clock)


class EmailChannel:
    """One letter for each notice, over a connection of its own: they are few, and none stays open to be cut."""

    def __init__(self, settings: Smtp, password: str, context: ssl.SSLContext | None, clock: Clock) -> None:
        self._settings = settings
        self._password = password
        self._context = context
        self._clock = clock

    async def send(self, letter: Letter) -> Taken:
        """Returning means that the server answered 250 to the whole letter. 4xx and silence are tried again, also
        where the answer to the letter itself was lost; 5xx is final, but for faults of signing in."""
        settings = self._settings
        message = message_of(letter, settings.sender, self._clock.now())
        server = aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            use_tls=settings.security == "tls",
            start_tls=settings.security == "starttls",
            tls_context=self._context,
            timeout=settings.answer_within.total_seconds(),
        )
        try:
            async with asyncio.timeout(settings.answer_within.total_seconds()):
                await self._talk(server, message)
        except TimeoutError as error:
            raise TryLater("the mail server did not answer in time") from error
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _judged(error.recipients[0]) from error
        except aiosmtplib.SMTPResponseException as error:
            raise _judged(error) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            # Not connected, or cut off: if that was after the letter, it may have been taken, and its Message-ID says
            # that the next one is the same.
            raise TryLater(f"the mail server cannot be reached ({type(error).__name__})") from error
        finally:
            server.close()
        return Taken(reference=str(message["Message-ID"]))

    async def _talk(self, server: aiosmtplib.SMTP, message: EmailMessage) -> None:
        await server.connect()
        if self._settings.username:
            await server.login(self._settings.username, self._password)
        await server.send_message(message)


def _judged(answer: aiosmtplib.SMTPResponseException) -> GiveUp | TryLater:
    # What the server says may hold the address; the code is enough to look it up.
    words = f"the mail server answered {answer.code}"
    if answer.code >= 500 and answer.code not in _NOT_OUR_FAULT:
        return GiveUp(words)
    return TryLater(words)


def message_of(letter: Letter, sender: str, at: datetime) -> EmailMessage:
    """The letter as it travels."""
    notice = letter.notice
    chinese, english = notice.words[CHINESE], notice.words[ENGLISH]
    message = EmailMessage()
    message["From"] = sender
    message["To"] = letter.address
    message["Subject"] = chinese.subject
    message["Date"] = format_datetime(at)
    message["Message-ID"] = f"<{notice.key}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no absence notes in answer
    if letter.urgent:
        message["Importance"] = "high"
    parts = [chinese.body, english.body, notice.link]
    message.set_content("\n\n".join(part for part in parts if part) + "\n")
    return message

"""Text messages over the line to a short message centre."""

from __future__ import annotations

from adapters.notice.channel import Letter, Taken
from adapters.notice.reports import Reports
from adapters.notice.smpp import codec
from adapters.notice.smpp.codec import Bind
from adapters.notice.smpp.line import LineDown, NoAnswer, Refusal, SmppService
from adapters.notice.smpp.texts import ReceiptText, messages_of
from dispatcher.ports import GiveUp, TryLater
from dispatcher.settings import Smpp


def smpp_line(settings: Smpp, reports: Reports) -> SmppService:
    """The line for these settings; receipts go to ``reports``.

    Raises:
        OSError: the password cannot be read.
    """
    password = settings.password_file.read_text("utf-8").strip() if settings.password_file else ""

    async def heard(receipt: ReceiptText) -> bool:
        return receipt.state is None or await reports.heard(
            "sms", receipt.reference, receipt.state, receipt.why
        )

    return SmppService(
        settings.host,
        settings.port,
        Bind(system_id=settings.system_id, password=password, system_type=settings.system_type),
        heard,
        window=settings.window,
        enquire_every=settings.enquire_every,
        answer_within=settings.answer_within,
    )


class SmppChannel:
    """Sends each text in as many parts as it takes; the last part's name is the message's, and a receipt names it.

    SMPP knows no repeats: a message sent again after a lost answer may arrive twice. Its user_message_reference and,
    in parts, its chain number stay the same, so that centres that look can tell.
    """

    def __init__(self, line: SmppService, source: str) -> None:
        self.line = line
        self._source = source

    async def send(self, letter: Letter) -> Taken:
        """Returning means that the centre took every part."""
        mark = letter.notice.key.bytes[-1]
        try:
            parts = messages_of(letter.text, source=self._source, destination=letter.address, mark=mark)
        except ValueError as error:
            raise GiveUp(f"the text cannot be sent: {error}") from error
        reference = ""
        for part in parts:
            try:
                reference = await self.line.submit(part)
            except LineDown as error:
                raise TryLater(str(error)) from error
            except NoAnswer as error:
                raise TryLater(f"the short message centre did not answer: {error}") from error
            except Refusal as error:
                words = f"the short message centre answered {error}"
                raise (TryLater if error.status in codec.PASSING else GiveUp)(words) from error
        return Taken(reference=reference, parts=len(parts), tells=bool(reference))

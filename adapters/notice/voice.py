"""The words of a notice as one channel carries them: a signed text message, a text to be read out, a letter."""

from __future__ import annotations

import msgspec

from adapters.notice import words as w
from adapters.notice.compose import Carried, body_of, is_neutral
from adapters.notice.sms_text import count
from dispatcher.domain.library import Library
from dispatcher.views.outgoing import Outgoing


class Voice(msgspec.Struct, frozen=True, kw_only=True):
    """How this deployment speaks where only one language fits.

    Args:
        sign: who writes, at the head of a text message and of a call.
        neutral_sign: the sign where it must not be said who writes; may be empty.
        line: where the rest of a cut message can be asked for.
        most_parts: longer text messages are cut.
        key: what is pressed to confirm a call.
    """

    language: str = "zh-CN"
    sign: str = "联动"
    neutral_sign: str = ""
    line: str = "12345"
    most_parts: int = 4
    key: str = "1"

    def text(self, channel: str, effect: Carried, out: Outgoing | None, library: Library) -> str:
        """What a channel carries. The desk and the webhook get the whole document and need none."""
        language = w.language_of(self.language)
        neutral = is_neutral(effect, out)
        sign = self.neutral_sign if neutral else self.sign
        if channel == "phone":
            body = body_of(effect, out, library, language, spoken=True)
            return language.say("phone", w.PHONE, sign=sign, body=body, key=self.key)
        body = body_of(effect, out, library, language)
        if channel != "sms":
            return body
        return self._fitting(body, sign, language, neutral=neutral)

    def _fitting(self, body: str, sign: str, language: w.Language, *, neutral: bool) -> str:
        whole = language.say("sms", w.SMS, sign=sign, body=body) if sign else body
        if count(whole) <= self.most_parts or neutral:
            return whole
        kept = body
        while count(whole) > self.most_parts and kept:
            kept = kept[: -max(1, (len(kept) - self.most_parts * 60) // 2)]
            cut = language.say("sms", w.CUT, body=kept, line=self.line)
            whole = language.say("sms", w.SMS, sign=sign, body=cut) if sign else cut
        return whole

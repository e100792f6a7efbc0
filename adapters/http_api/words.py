"""Which language a caller of the API reads, and the words for it. Simplified Chinese unless English is asked for."""

from __future__ import annotations

import gettext
from collections.abc import Mapping
from importlib import resources

from aiohttp import web

from dispatcher.languages import CHINESE, ENGLISH, catalogue


class Words:
    """The catalogue of one language. Message ids are English templates with ``{name}`` places."""

    def __init__(self, language: str, translations: gettext.NullTranslations) -> None:
        self.language = language
        self._translations = translations

    def say(self, template: str, places: Mapping[str, str] | None = None) -> str:
        """The template in this language, its places filled in."""
        if not template:
            return ""  # gettext answers the empty id with the catalogue's head
        said = self._translations.gettext(template)
        return said.format(**places) if places else said


class Library:
    """Both languages, read once."""

    def __init__(self) -> None:
        po = resources.files("adapters.http_api").joinpath("locale", "zh_CN.po").read_bytes()
        self.chinese = Words(CHINESE, catalogue(po))
        self.english = Words(ENGLISH, gettext.NullTranslations())

    def of(self, request: web.Request) -> Words:
        """What ``Accept-Language`` prefers among the two; Chinese where it says nothing we know."""
        best, weight = self.chinese, 0.0
        for part in request.headers.get("Accept-Language", "")[:200].split(","):
            tag, _, parameter = part.strip().partition(";")
            name, _, value = parameter.strip().partition("=")
            try:
                q = float(value) if name.strip() == "q" else 1.0
            except ValueError:
                continue
            known = {"zh": self.chinese, "en": self.english}.get(tag.strip().lower()[:2])
            if known is not None and weight < q <= 1:
                best, weight = known, q
        return best

"""Refusals: typed, naming field, value and remedy. A refused command changes nothing.

The words are English message ids with ``{name}`` places (``{field}`` and ``{value}`` are always filled); an edge translates the template (gettext) before it fills
the places in, so the same refusal reads in Chinese at a desk and in English in a log.
"""

from __future__ import annotations


class Refused(Exception):
    """A definite no. ``status`` is the HTTP status an API gives it; ``code`` is stable for other programs.

    ``field`` and ``value`` name what was wrong (never personal data), ``remedy`` says what to do instead,
    ``allowed`` names the commands that would be taken now.
    """

    status = 422
    code = "refused"

    def __init__(
        self,
        template: str,
        *,
        field: str = "",
        value: str = "",
        remedy: str = "",
        allowed: tuple[str, ...] = (),
        **places: str,
    ) -> None:
        self.template = template
        self.places = {"field": field, "value": value[:120], **places}
        super().__init__(template.format(**self.places))
        self.field = field
        self.value = value[:120]
        self.remedy = remedy
        self.allowed = allowed

    @property
    def detail(self) -> str:
        """The English sentence."""
        return str(self)


class NotFound(Refused):
    """No such stream, or none that this actor may know of."""

    status = 404
    code = "not-found"


class AlreadyThere(Refused):
    """The id is taken by another case."""

    status = 409
    code = "already-there"


class WrongStage(Refused):
    """The stage table does not admit the command now."""

    status = 409
    code = "wrong-stage"


class NotYours(Refused):
    """The actor's role, organisation or region does not reach this case."""

    status = 403
    code = "not-yours"


class BadField(Refused):
    """A field has a value that cannot be taken."""

    status = 422
    code = "bad-field"


class AgainstRule(Refused):
    """A rule of the plan or of the policy forbids it (too late, once only, two persons, never for danger)."""

    status = 409
    code = "against-rule"


class KeyReused(Refused):
    """The same message id came with other content."""

    status = 422
    code = "key-reused"

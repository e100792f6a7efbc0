"""What goes wrong, told as RFC 9457 problem documents that name field, value and remedy in the reader's language."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

import msgspec
import pydantic
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from sqlalchemy.exc import DBAPIError

from adapters.http_api.words import Library, Words
from dispatcher.domain.errors import Refused
from dispatcher.languages import CHINESE
from dispatcher.store.database import out_of_reach
from dispatcher.store.errors import Failed, Unavailable
from dispatcher.views.cursor import BadCursor
from dispatcher.views.words import STAGES

log = logging.getLogger("liandong.api")

PROBLEM_JSON = "application/problem+json"

MOST_FAULTS = 20
"""Faults of one body that are listed; whoever sends more wrong fields has enough to do with these."""

TITLES: Mapping[str, str] = {
    "refused": "The request was refused",
    "not-found": "Not found",
    "already-there": "The id is taken",
    "wrong-stage": "The stage does not admit this now",
    "not-yours": "Not within your role, organisation or region",
    "bad-field": "A field has a value that cannot be taken",
    "against-rule": "A rule forbids it",
    "key-reused": "The Idempotency-Key came before with other content",
    "malformed": "The body is not JSON",
    "bad-cursor": "The cursor cannot be used",
    "unauthorized": "A valid bearer token is needed",
    "method-not-allowed": "This path does not take this method",
    "too-large": "The body is too large",
    "unsupported-media-type": "The body must be application/json",
    "bad-request": "The request cannot be read",
    "unavailable": "Not available now",
    "internal": "A fault on our side",
}
"""Codes are stable; programs may rely on them. The titles are message ids of the catalogue."""


class Fault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing wrong with one field. ``value`` is what came, cut short; never a personal one."""

    field: str
    detail: str
    value: str = ""
    remedy: str = ""


class ProblemDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An RFC 9457 problem document with Liandong's members."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    field: str = ""
    value: str = ""
    remedy: str = ""
    allowed: tuple[str, ...] = ()
    errors: tuple[Fault, ...] = ()
    instance: str = ""


class Problem(Exception):
    """A definite no of the edge itself. Words are templates of the catalogue; ``places`` (and field and value) fill ``template``."""

    def __init__(
        self,
        status: int,
        code: str,
        template: str,
        *,
        field: str = "",
        value: str = "",
        remedy: str = "",
        headers: Mapping[str, str] | None = None,
        errors: Sequence[Fault] = (),
        **places: str,
    ) -> None:
        super().__init__(template)
        self.status = status
        self.code = code
        self.template = template
        self.places = {"field": field, "value": value[:120], **places}
        self.field = field
        self.value = value[:120]
        self.remedy = remedy
        self.headers = dict(headers or {})
        self.errors = tuple(errors)


def problems(library: Library, new_id: Callable[[], UUID]) -> Middleware:
    """The outermost middleware: whatever is raised below becomes a problem document, never a traceback."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Problem as no:
            return answer(no, library.of(request))
        except Refused as no:
            return _refused(no, library.of(request))
        except BadCursor as no:
            words = "The cursor is none that this question gave out."
            return answer(
                Problem(422, "bad-cursor", words, field="cursor", value=no.value, remedy=_CURSOR),
                library.of(request),
            )
        except (Unavailable, DBAPIError, ConnectionError, TimeoutError) as err:
            # A question that the database could not answer changed nothing: a cut or frozen connection is no fault.
            if not isinstance(err, Unavailable):
                if not out_of_reach(err):
                    return _fault(err, request, library.of(request), new_id())
                log.warning("the database did not answer: %s", type(err).__name__)
            words = "The store cannot take this now; nothing was lost, the same key makes a repeat harmless."
            later = Problem(503, "unavailable", words, remedy=_AGAIN, headers={"Retry-After": "2"})
            return answer(later, library.of(request))
        except web.HTTPException as no:
            if no.status < 400:
                raise
            return answer(_of_aiohttp(no, request), library.of(request))
        except Exception as err:  # noqa: BLE001 - the top of a request: logged with an id, answered without a traceback
            return _fault(err, request, library.of(request), new_id())

    return middleware


def answer(problem: Problem, words: Words) -> web.Response:
    """The document of a problem of the edge."""
    return _response(
        ProblemDocument(
            type=f"/api#{problem.code}",
            title=words.say(TITLES[problem.code]),
            status=problem.status,
            detail=words.say(problem.template, problem.places),
            code=problem.code,
            field=problem.field,
            value=problem.value,
            remedy=words.say(problem.remedy),
            errors=problem.errors,
        ),
        words,
        problem.headers,
    )


def invalid(error: pydantic.ValidationError, where: str, words: Words) -> Problem:
    """The problem that a body, query or header which does not fit its schema is answered with; all faults listed."""
    listed = error.errors(include_url=False, include_context=True)
    if listed and listed[0]["type"] == "json_invalid":
        reason = str(listed[0].get("ctx", {}).get("error", ""))
        return Problem(
            400,
            "malformed",
            "The body is not JSON: {reason}.",
            field=where,
            remedy="send one JSON object in UTF-8",
            reason=reason,
        )
    faults = []
    for one in listed[:MOST_FAULTS]:
        template, remedy = _WORDS.get(one["type"], ("{field} does not fit: {message}.", ""))
        field = ".".join(str(part) for part in one["loc"]) or where
        bounds = {name: str(value) for name, value in one.get("ctx", {}).items()}
        places = {"message": one["msg"], "field": field, **{k: v for k, v in bounds.items() if k in _BOUNDS}}
        faults.append(
            Fault(
                field=field,
                value=_shown(field, one["input"]),
                detail=words.say(template, places),
                remedy=words.say(remedy),
            )
        )
    first = faults[0]
    many = len(listed) > 1
    return Problem(
        422,
        "bad-field",
        "{count} fields cannot be taken; the first: {first}"
        if many
        else first.detail.replace("{", "{{").replace("}", "}}"),
        field=first.field,
        value=first.value,
        remedy=first.remedy,
        errors=faults,
        first=first.detail,
        count=str(len(listed)),
    )


_AGAIN = "repeat the request with the same Idempotency-Key in a moment"
_CURSOR = "use the cursor exactly as the page before gave it, with the same order"
_BOUNDS = frozenset({"max_length", "min_length", "le", "ge", "lt", "gt", "expected"})
_WORDS: Mapping[str, tuple[str, str]] = {
    "missing": ("{field} is missing.", "add the field"),
    "extra_forbidden": ("There is no field {field}.", "leave it out, or see /api for the fields"),
    "string_type": ("{field} must be text.", "write it in quotation marks"),
    "string_too_long": ("{field} is longer than {max_length} characters.", "shorten it"),
    "string_too_short": ("{field} must not be empty.", "say it in words"),
    "string_pattern_mismatch": (
        "{field} holds characters that cannot be taken, or is not of its form.",
        "leave control characters out; see /api for the form",
    ),
    "bool_type": ("{field} must be true or false.", "write true or false"),
    "bool_parsing": ("{field} must be true or false.", "write true or false"),
    "int_type": ("{field} must be a whole number.", "write a whole number"),
    "int_parsing": ("{field} must be a whole number.", "write a whole number"),
    "int_from_float": ("{field} must be a whole number.", "write a whole number"),
    "greater_than_equal": ("{field} must be at least {ge}.", "write a larger number"),
    "less_than_equal": ("{field} must be at most {le}.", "write a smaller number"),
    "uuid_parsing": ("{field} is no id (UUID).", "use the id as it was given"),
    "uuid_type": ("{field} is no id (UUID).", "use the id as it was given"),
    "enum": ("{field} must be one of {expected}.", "use one of the words listed"),
    "literal_error": ("{field} must be one of {expected}.", "use one of the words listed"),
    "datetime_type": ("{field} is no instant.", "write an instant with its zone: 2026-02-14T10:00:00+08:00"),
    "datetime_parsing": (
        "{field} is no instant.",
        "write an instant with its zone: 2026-02-14T10:00:00+08:00",
    ),
    "datetime_from_date_parsing": (
        "{field} is no instant.",
        "write an instant with its zone: 2026-02-14T10:00:00+08:00",
    ),
    "timezone_aware": (
        "{field} has no time zone.",
        "write an instant with its zone: 2026-02-14T10:00:00+08:00",
    ),
    "model_type": ("{field} must be an object.", "write a JSON object"),
    "model_attributes_type": ("{field} must be an object.", "write a JSON object"),
    "dict_type": ("{field} must be an object.", "write a JSON object"),
    "tuple_type": ("{field} must be a list.", "write a JSON array"),
    "list_type": ("{field} must be a list.", "write a JSON array"),
    "too_long": ("{field} has more than {max_length} entries.", "send fewer"),
}


def _shown(field: str, value: object) -> str:
    """What came, for short codes only: words and personal fields are never sent back or logged."""
    if field.split(".")[0] in ("personal", "words", "reason", "title", "text", "caller"):
        return ""
    if value is None or isinstance(value, str | int | float | bool):
        return str(value)[:80].encode("utf-8", "replace").decode()
    return ""


def _refused(no: Refused, words: Words) -> web.Response:
    places = dict(no.places)
    if words.language == CHINESE and "stage" in places:
        places["stage"] = STAGES[places["stage"]].zh if places["stage"] in STAGES else places["stage"]
    document = ProblemDocument(
        type=f"/api#{no.code}",
        title=words.say(TITLES.get(no.code, TITLES["refused"])),
        status=no.status,
        detail=words.say(no.template, places) if no.places else words.say(no.template, {"field": no.field}),
        code=no.code,
        field=no.field,
        value=no.value,
        remedy=words.say(no.remedy),
        allowed=no.allowed,
    )
    return _response(document, words)


def _of_aiohttp(no: web.HTTPException, request: web.Request) -> Problem:
    headers = {name: value for name, value in no.headers.items() if name in ("Allow", "Retry-After")}
    match no.status:
        case 404:
            return Problem(
                404,
                "not-found",
                "There is nothing at this path.",
                field="path",
                value=request.path,
                remedy="see /api for the paths",
            )
        case 405:
            return Problem(
                405,
                "method-not-allowed",
                "This path does not take {method}.",
                field="method",
                value=request.method,
                remedy="see the header Allow",
                headers=headers,
                method=request.method,
            )
        case 413:
            return too_large(request)
        case _:
            return Problem(
                no.status if no.status < 500 else 400,
                "bad-request",
                "The request cannot be read.",
                remedy="see /api for its form",
                headers=headers,
            )


def too_large(request: web.Request) -> Problem:
    """The body is larger than settings allow."""
    return Problem(
        413,
        "too-large",
        "The body is larger than this service takes.",
        field="body",
        value=request.headers.get("Content-Length", ""),
        remedy="send a smaller one; long letters go in as attachments",
        headers={"Connection": "close"},
    )


def _fault(err: Exception, request: web.Request, words: Words, id_: UUID) -> web.Response:
    route = request.match_info.route.resource
    where = route.canonical if route is not None else "(none)"
    log.error(
        "request failed: %s",
        err.why if isinstance(err, Failed) else type(err).__name__,
        extra={"fault": str(id_), "route": where, "method": request.method},
        exc_info=err,
    )
    return _response(
        ProblemDocument(
            type="/api#internal",
            title=words.say(TITLES["internal"]),
            status=500,
            detail=words.say("The request could not be carried out; nothing was changed by it."),
            code="internal",
            remedy=words.say("tell the operators the instance below; it is in their log"),
            instance=f"urn:uuid:{id_}",
        ),
        words,
    )


def _response(
    document: ProblemDocument, words: Words, headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.Response(
        status=document.status,
        body=msgspec.json.encode(document),
        content_type=PROBLEM_JSON,
        headers={"Content-Language": words.language, "Cache-Control": "no-store", **(headers or {})},
    )

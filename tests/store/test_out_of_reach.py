"""Whether a failed question may be asked again, told by what the database or the socket said."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy.exc import DBAPIError

from dispatcher.store.database import out_of_reach


class _Said(Exception):
    """What a driver raises: PostgreSQL's SQLSTATE or SQLite's name of the error."""

    def __init__(self, **words: str) -> None:
        super().__init__()
        self.__dict__.update(words)


@pytest.mark.parametrize(
    "said",
    [
        _Said(sqlstate="57P03"),
        _Said(sqlstate="57P01"),
        _Said(sqlstate="08006"),
        _Said(sqlstate="40001"),
        _Said(sqlite_errorname="SQLITE_BUSY"),
        _Said(sqlite_errorname="SQLITE_IOERR_WRITE"),
    ],
)
def test_a_server_that_starts_stops_or_is_held_may_be_asked_again(said: _Said) -> None:
    assert out_of_reach(DBAPIError("SELECT 1", None, said))


@pytest.mark.parametrize(
    "said", [_Said(sqlstate="42P01"), _Said(sqlstate="22001"), _Said(sqlite_errorname="SQLITE_ERROR")]
)
def test_a_question_asked_wrongly_is_a_fault_of_ours(said: _Said) -> None:
    assert not out_of_reach(DBAPIError("SELECT 1", None, said))
    assert not out_of_reach(ValueError("x"))


def test_a_refused_connection_may_be_tried_again() -> None:
    assert out_of_reach(ConnectionRefusedError())
    assert out_of_reach(TimeoutError())
    assert not out_of_reach(DBAPIError("SELECT 1", None, sqlite3.ProgrammingError()))

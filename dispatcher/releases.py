"""From data files to compiled releases: lists, places, directory, organisation, calendars, deadline policy.

Reading is done here so that `routing_rules` and the domain stay pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar, get_args

from dispatcher.data_files import files_of
from dispatcher.domain import events as e
from dispatcher.domain.library import Library
from dispatcher.domain.worktime import Calendars
from dispatcher.lists import (
    load_directory,
    load_organisation,
    load_places,
    load_rulebook,
    rulebook_files,
)
from dispatcher.settings import Data
from routing_rules.calendar_files import load_calendars
from routing_rules.duplicate_files import compile_duplicates
from routing_rules.notices import compile_notices
from routing_rules.policy import Policy
from routing_rules.policy_files import compile_policy

T = TypeVar("T")
EVENT_WORDS = frozenset(e.word_of(event) for event in get_args(e.AnyEvent))
"""Every event word: a clock that names another could never start or stop, and is refused."""


def build_library(
    data: Data,
    division: str,
    earlier: Sequence[Policy] = (),
) -> Library:
    """Everything a decision may look into, compiled from the configured folders.

    Args:
        division: the deployment's own, whose calendar runs the total and platform clocks.
        earlier: policies that open cases may still name; today's comes last.

    Raises:
        ExceptionGroup: all faults of all folders at once (`RuleFault`, `DataFault`, OSError).
    """
    faults: list[Exception] = []
    book = _try(lambda: load_rulebook(rulebook_files(data), data.cache), faults)
    policy = _try(lambda: compile_policy(files_of("policy", data.policy), events=EVENT_WORDS), faults)
    calendars = _try(lambda: Calendars(load_calendars(files_of("calendars", data.calendars))), faults)
    places = _try(lambda: load_places(data), faults)
    organisation = _try(lambda: load_organisation(data, places), faults) if places else None
    notices = _try(lambda: compile_notices(files_of("notices", data.notices)), faults)
    duplicates = _try(lambda: compile_duplicates(files_of("duplicates", data.duplicates)), faults)
    directory = _try(lambda: load_directory(data, places), faults) if places else None
    if not (
        book
        and policy
        and calendars
        and places
        and organisation is not None
        and directory
        and notices
        and duplicates
    ):
        raise ExceptionGroup("the lists cannot be used", faults)
    return Library(
        book=book,
        policies=(*(old for old in earlier if old.digest != policy.digest), policy),
        calendars=calendars,
        organisation=organisation,
        directory=directory,
        places=places,
        home=division,
        notices=notices,
        duplicates=duplicates,
    )


def _try(load: Callable[[], T], faults: list[Exception]) -> T | None:
    try:
        return load()
    except (OSError, ExceptionGroup) as fault:
        faults.append(fault)
        return None

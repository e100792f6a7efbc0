"""Calendars for tests: the shipped ones, and small ones written in the test itself."""

from __future__ import annotations

from dispatcher.data_files import packaged_files
from dispatcher.domain.worktable import compile_table
from dispatcher.domain.worktime import Calendar, Calendars
from routing_rules.calendar_files import load_calendars

NATIONAL = """
[layer]
id = "national"
name = "全国"
division = "000000"
source = "test"

[[year]]
year = 2026
status = "confirmed"
source = "test"

[[holiday]]
year = 2026
name = "春节"
from = "2026-02-15"
until = "2026-02-23"
work = ["2026-02-14", "2026-02-28"]

[[frame]]
hours = [["08:30", "12:00"], ["14:00", "17:30"]]
"""


def shipped() -> Calendars:
    """The calendars that the product ships with."""
    return Calendars(load_calendars(packaged_files("calendars")))


def local_layer(text: str, *, id: str = "local", division: str = "632700", head: str = "") -> str:
    """A file of one division's own: its head, then whatever the test says."""
    return f'[layer]\nid = "{id}"\nname = "地方"\ndivision = "{division}"\nsource = "test"\n{head}\n{text}'


def calendar_of(*texts: str, division: str = "632701") -> Calendar:
    """The calendar of a division under files given as text."""
    files = {f"{number}.toml": text.encode() for number, text in enumerate(texts)}
    return Calendar(compile_table(load_calendars(files).chain(division)))

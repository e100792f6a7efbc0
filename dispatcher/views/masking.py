"""Hides what would name a citizen in texts and numbers: telephone, identity-card and bank-card numbers, names said aloud.

A mask never decides who may see something; it only lowers what a list or a screen shows by accident. Whoever needs a
number asks for it with a reason.
"""

from __future__ import annotations

import re

_LONG = re.compile(r"(?<![0-9A-Za-z])(?:\+?86[- ]?)?\d(?:[- ]?\d){6,18}[\dXx]?(?![0-9A-Za-z])")
# Instants and ticket-like dates are no telephone numbers: 2026-02-14, 20260214, 10:00.
_DATE = re.compile(r"(?:19|20)\d{2}[-/]?(?:0?[1-9]|1[0-2])[-/]?(?:0?[1-9]|[12]\d|3[01])(?!\d)")
_NAMED = re.compile(
    r"(我叫|姓名[::是为]?\s*|名叫|本人叫|联系人[::]?\s*|户主[::是]?\s*)([一-鿿·]{2,6}?)(?=[,，。;；、\s:：!！?？(（]|住|家住|电话|手机|身份证|今年|是|$)"
)


def mask_number(number: str) -> str:
    """A telephone number with its middle hidden: 13897001234 → 138****1234; short ones are hidden whole."""
    digits = number.strip()
    if len(digits) < 7:
        return "*" * len(digits)
    return f"{digits[:3]}{'*' * (len(digits) - 7)}{digits[-4:]}" if len(digits) > 7 else f"***{digits[-4:]}"


def mask_name(name: str) -> str:
    """A person's name with all but its first character hidden."""
    return name[:1] + "*" * (len(name) - 1)


def mask_text(words: str) -> str:
    """Words with long numbers and names that people gave of themselves hidden. Length in characters stays the same."""
    hidden = _LONG.sub(_hide_number, words)
    return _NAMED.sub(lambda found: found[1] + mask_name(found[2]), hidden)


def _hide_number(found: re.Match[str]) -> str:
    run = found[0]
    if _DATE.match(run):
        return run
    shown = len(run) - 8 if len(run) >= 11 else 0
    kept = 3 if shown > 0 else 0
    return run[:kept] + "".join("*" if sign.isalnum() else sign for sign in run[kept:-4]) + run[-4:]

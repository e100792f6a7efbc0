"""Masking: titles without telephone numbers, identity numbers, plates, addresses at home and names of people.

A safeguard for screens that anybody near them can read. It hides what looks like personal data and rather hides
too much; it proves nothing, so a screen that must be free of personal data shows masked titles and nothing else.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

HIDDEN: Final = "**"

_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
# Seven and more digits are a telephone, identity, bank or chat number. Separators people write between them count.
_DIGITS = re.compile(r"\d(?:[\s\-—_.·]?\d){6,}[Xx]?")
_SPOKEN = re.compile(r"[零〇一二三四五六七八九幺两]{7,}")
_PLATE = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-Za-z][·\s]?[A-Za-z0-9]{5,6}"
)
_HOME = re.compile(
    r"\d{1,4}\s*(?:号楼|栋|幢|单元|室)(?:\s*\d{1,5}\s*(?:号楼|栋|幢|单元|室|层|号))*(?:\s*\d{2,5})?"
)
_CALLED = re.compile(
    r"((?:我叫|我名叫|本人叫|姓名|联系人|联系电话人|名字叫|名叫|当事人|报警人|来电人|投诉人|举报人)\s*(?:[:：是为叫]\s*)?)"
    r"([\u4e00-\u9fff·]{2,8}?)(?=$|[\s,，。;；、:：()（）住在的电家反要想说称,]|[^\u4e00-\u9fff·])"
)
_STYLED = re.compile(r"[\u4e00-\u9fff]{1,3}(?=先生|女士|小姐)")


def masked(title: str) -> str:
    """The title with what looks like personal data replaced by stars."""
    words = unicodedata.normalize("NFKC", title)
    for pattern in (_MAIL, _PLATE, _DIGITS, _SPOKEN, _HOME):
        words = pattern.sub(HIDDEN, words)
    words = _CALLED.sub(lambda found: found[1] + HIDDEN, words)
    return _STYLED.sub(HIDDEN, words)

"""Codes of units and divisions: the unified social credit code (GB 32100-2015), GB 11714-1997 inside it, GB/T 2260."""

from operator import mul

# GB 32100-2015, 4: the letters I, O, S, V, Z are not used
_SIGNS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_VALUE = {sign: value for value, sign in enumerate(_SIGNS)}
# GB 32100-2015, 5.3: weight of place i is 3^(i-1) mod 31
_WEIGHTS = tuple(pow(3, place, 31) for place in range(17))
# GB 11714-1997, 4: weights of the eight places of the organisation code's body; here every letter may stand
_BODY_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_BODY_VALUE = {sign: value for value, sign in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")}
# GB 32100-2015, table 1: registering department → kinds of body it registers
_REGISTERED = {
    "1": "1239",
    "2": "19",
    "3": "123459",
    "4": "19",
    "5": "1239",
    "6": "129",
    "7": "129",
    "8": "19",
    "9": "123",
    "A": "19",
    "N": "1239",
    "Y": "1",
}
# GB/T 2260: the first two digits
_PROVINCES = frozenset(
    [
        "11",
        "12",
        "13",
        "14",
        "15",
        "21",
        "22",
        "23",
        "31",
        "32",
        "33",
        "34",
        "35",
        "36",
        "37",
        "41",
        "42",
        "43",
        "44",
        "45",
        "46",
        "50",
        "51",
        "52",
        "53",
        "54",
        "61",
        "62",
        "63",
        "64",
        "65",
        "71",
        "81",
        "82",
    ]
)


def body_check(body: str) -> str:
    """The check character of an organisation code's eight-character body (GB 11714-1997, 4)."""
    left = 11 - sum(map(mul, map(_BODY_VALUE.__getitem__, body), _BODY_WEIGHTS)) % 11
    return "0" if left == 11 else "X" if left == 10 else str(left)


def unit_check(first17: str) -> str:
    """The check character of a unified social credit code's first seventeen (GB 32100-2015, 5.3)."""
    left = 31 - sum(map(mul, map(_VALUE.__getitem__, first17), _WEIGHTS)) % 31
    return _SIGNS[left % 31]


def unit_code(registered: str, division: str, body: str) -> str:
    """Put a code together: two characters of registration, six digits of division, eight of body; checks computed."""
    first17 = f"{registered}{division}{body}{body_check(body)}"
    return first17 + unit_check(first17)


def unit_code_fault(code: str) -> str:
    """What is wrong with a unified social credit code, and what it should be; "" when nothing is.

    The body's own check character is not insisted on: codes taken over from older registers break GB 11714 and are
    valid all the same, since the last character covers them.
    """
    if len(code) != 18:
        return f"has {len(code)} characters; a unified social credit code has 18 (GB 32100)"
    if strange := sorted({sign for sign in code if sign not in _VALUE}):
        return f"holds {''.join(strange)}; only digits and capital letters without I, O, S, V, Z are used (GB 32100)"
    if code[1] not in _REGISTERED.get(code[0], ""):
        return f"begins with {code[:2]}, which no registering department uses (GB 32100, table 1)"
    if fault := division_code_fault(code[2:8]):
        return f"characters 3 to 8 {fault}"
    if code[17] != (right := unit_check(code[:17])):
        return f"ends with {code[17]}; its check character is {right}: look for a mistyped character"
    return ""


def division_code_fault(code: str) -> str:
    """What is wrong with the shape of a division code of 6, 9 or 12 digits (GB/T 2260, GB/T 10114); "" when nothing.

    Whether the division exists is the gazetteer's to say.
    """
    if not (code.isascii() and code.isdigit()):
        return f"{code!r} is not digits; a division code has 6, 9 or 12 of them (GB/T 2260)"
    if len(code) not in (6, 9, 12):
        return f"{code} has {len(code)} digits; a division code has 6, 9 or 12 (GB/T 2260)"
    if code[:2] not in _PROVINCES and code != "100000":
        return f"{code} begins with {code[:2]}, which is no province (GB/T 2260)"
    if code[2:4] == "00" and code[4:6] != "00":
        return f"{code} names a county without a prefecture (GB/T 2260)"
    return ""

"""What the type of a setting cannot say: whether an address, a folder or a file can be what the key needs.

Files are only looked at, never made.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit


def check_setting(name: str, value: object) -> None:
    """Checks the value of a key ("database.url"); a key without a rule of its own passes.

    Raises:
        ValueError, OSError: it cannot be used.
    """
    check = _CHECKS.get(name)
    if check is not None:
        check(value)


def _database_url(value: object) -> None:
    parts = urlsplit(str(value))
    if parts.scheme == "sqlite":
        if parts.netloc or len(parts.path) < 2 or parts.path.endswith("/"):
            raise ValueError("path")
        if Path(parts.path[1:]).is_dir():
            raise ValueError("a folder")
    elif parts.scheme == "postgresql":
        _ = parts.port  # raises ValueError when it is no port
        if len(parts.path.strip("/")) == 0:
            raise ValueError("name")
    else:
        raise ValueError("scheme")


def _web_url(value: object) -> None:
    if value == "":
        return
    parts = urlsplit(str(value))
    _ = parts.port
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("address")


def _folder(value: object) -> None:
    if isinstance(value, Path):
        next(value.iterdir(), None)  # OSError says what is wrong with it


def _readable(value: object) -> None:
    if isinstance(value, Path):
        with value.open("rb") as file:
            file.read(1)


def _writable(value: object) -> None:
    if isinstance(value, Path) and (value.is_dir() or not value.absolute().parent.is_dir()):
        raise ValueError("its folder must be there")


def _key_file(value: object) -> None:
    if isinstance(value, Path) and value.exists():
        _readable(value)


def _cache(value: object) -> None:
    if isinstance(value, Path) and value.exists() and not value.is_dir():
        raise ValueError("not a folder")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_inside(host: str) -> bool:
    """Whether a host is this machine or an address of a private network; a name other than localhost is not known."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost"


def _octets(value: object) -> None:
    if not (str(value).isascii() and (not value or str(value).isprintable())):
        raise ValueError("ascii")


def _smpp_password(value: object) -> None:
    if isinstance(value, Path):
        password = value.read_text("utf-8").strip()  # UnicodeDecodeError is a ValueError
        if not (1 <= len(password) <= 8 and password.isascii()):
            raise ValueError("length")


def _mail_address(value: object) -> None:
    name, at, host = str(value).partition("@")
    if value and not (name and at and host and str(value).isascii() and str(value).isprintable()):
        raise ValueError("address")


def _networks(value: object) -> None:
    if isinstance(value, tuple):
        for network in value:
            ipaddress.ip_network(network)


_CHECKS: Mapping[str, Callable[[object], None]] = {
    "database.url": _database_url,
    "http.base": _web_url,
    "vault.key_file": _key_file,
    "data.lists": _folder,
    "data.lexicon": _folder,
    "data.calendars": _folder,
    "data.places": _folder,
    "data.directory": _folder,
    "data.organisation": _folder,
    "data.policy": _folder,
    "data.notices": _folder,
    "data.cache": _cache,
    "auditor.switch_file": _writable,
    "auditor.switch_url": _web_url,
    "notices.webhook_url": _web_url,
    "notices.secret_file": _readable,
    "smtp.password_file": _readable,
    "smtp.sender": _mail_address,
    "smtp.ca_file": _readable,
    "sms.gateway_file": _readable,
    "sms.secret_file": _readable,
    "sms.receipt_secret_file": _readable,
    "smpp.system_id": _octets,
    "smpp.system_type": _octets,
    "smpp.password_file": _smpp_password,
    "smpp.source": _octets,
    "telemetry.allow": _networks,
}

"""E-mail against a real mail server on loopback: signed in over TLS, refused, slow, and cut off after the letter."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from adapters.notice.email import EmailChannel, email_channel
from dispatcher.ports import GiveUp, TryLater
from dispatcher.runtime.clock import ManualClock
from dispatcher.settings import Smtp
from tests.contracts.conftest import MONDAY
from tests.contracts.letters import KEY, letter
from tests.support.mail import (
    PASSWORD,
    USER,
    AnsweringServer,
    DroppingServer,
    MailServer,
    SlowServer,
    UnknownReceiverServer,
    certificate,
)

# aiosmtpd warns about itself: the line under it is TLS already, and its own session still fills what it deprecates.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Requiring AUTH:UserWarning"),
    pytest.mark.filterwarnings("ignore:Session.login_data:DeprecationWarning"),
]

PLAIN = Smtp(
    host="127.0.0.1",
    port=1,
    security="none",
    username="",
    password_file=None,
    sender="liandong@example.cn",
    ca_file=None,
    answer_within=timedelta(seconds=5),
)


def channel(server: MailServer, **more: object) -> EmailChannel:
    return email_channel(msgspec.structs.replace(PLAIN, port=server.port, **more), ManualClock(MONDAY))


async def test_a_letter_carries_both_languages_and_a_name_that_stays() -> None:
    async with MailServer() as server:
        await channel(server).send(letter(address="head@example.cn", urgent=True))
        await channel(server).send(letter(address="head@example.cn", urgent=True))

        first, second = server.letters
        assert first["Message-ID"] == second["Message-ID"] == f"<{KEY}@example.cn>"
        assert first["Subject"] == "联动：工单 7"
        assert (first["Auto-Submitted"], first["Importance"]) == ("auto-generated", "high")
        body = first.get_content()
        assert body.index("已派给贵单位") < body.index("assigned to you") < body.index("https://")


async def test_over_tls_the_server_is_known_and_we_sign_in(tmp_path: Path) -> None:
    chain, key = certificate(tmp_path)
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n")
    async with MailServer((chain, key)) as server:
        known = channel(server, security="tls", username=USER, password_file=secret, ca_file=chain)

        await known.send(letter(address="head@example.cn"))

        assert len(server.letters) == 1


async def test_a_server_with_another_certificate_is_not_told_the_password(tmp_path: Path) -> None:
    chain, key = certificate(tmp_path)
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    async with MailServer((chain, key)) as server:
        trusting_others = channel(server, security="tls", username=USER, password_file=secret)

        with pytest.raises(TryLater, match="cannot be reached"):
            await trusting_others.send(letter(address="head@example.cn"))

        assert server.letters == []


async def test_a_wrong_password_is_the_deployments_fault_and_not_the_letters(tmp_path: Path) -> None:
    chain, key = certificate(tmp_path)
    secret = tmp_path / "password"
    secret.write_text("wrong")
    async with MailServer((chain, key)) as server:
        with pytest.raises(TryLater, match="535") as later:
            await channel(server, security="tls", username=USER, password_file=secret, ca_file=chain).send(
                letter(address="head@example.cn")
            )

        assert "wrong" not in str(later.value)


@pytest.mark.parametrize("line", ["451 try again", "452 full"])
async def test_4xx_is_not_now(line: str) -> None:
    async with AnsweringServer(line) as server:
        with pytest.raises(TryLater, match=line[:3]):
            await channel(server).send(letter(address="head@example.cn"))


@pytest.mark.parametrize("line", ["550 no", "554 not this"])
async def test_5xx_is_never(line: str) -> None:
    async with AnsweringServer(line) as server:
        with pytest.raises(GiveUp, match=line[:3]):
            await channel(server).send(letter(address="head@example.cn"))


async def test_an_unknown_mailbox_is_never_and_the_reason_does_not_name_it() -> None:
    async with UnknownReceiverServer() as server:
        with pytest.raises(GiveUp, match="550") as never:
            await channel(server).send(letter(address="head@example.cn"))

        assert "head@" not in str(never.value)


async def test_a_server_that_says_nothing_is_tried_later() -> None:
    async with SlowServer() as server:
        with pytest.raises(TryLater, match="in time"):
            await channel(server, answer_within=timedelta(milliseconds=200)).send(
                letter(address="head@example.cn")
            )


async def test_after_a_lost_answer_the_same_letter_comes_again() -> None:
    async with DroppingServer() as server:
        with pytest.raises(TryLater, match="cannot be reached"):
            await channel(server).send(letter(address="head@example.cn"))
        await channel(server).send(letter(address="head@example.cn"))

        assert len({one["Message-ID"] for one in server.letters}) == 1


async def test_where_nobody_listens_it_is_tried_later() -> None:
    async with MailServer() as server:
        gone = channel(server)
    with pytest.raises(TryLater, match="cannot be reached"):
        await gone.send(letter(address="head@example.cn"))

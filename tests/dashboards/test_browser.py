"""The page in a real Chromium: rows appear and lamps change without reload, nothing breaks the content policy."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from playwright.async_api import Page, async_playwright, expect

from dispatcher.domain import commands as c
from tests.support.world import World, agent, unit_of

pytestmark = pytest.mark.browser

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture
def chromium() -> str:
    """The system's Chromium. Where there is none: skipped with the reason, failed in CI."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI needs Chromium: apt-get install chromium")
        pytest.skip("no Chromium: apt-get install chromium")
    return found


@pytest.fixture
async def page(liandong: World, chromium: str) -> AsyncIterator[Page]:
    """A tab on the page; anything it complains about on its console fails the test."""
    complaints: list[str] = []
    async with liandong.serving() as address, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        context = await browser.new_context(
            base_url=address, viewport={"width": 1366, "height": 768}, locale="zh-CN", color_scheme="light"
        )
        tab = await context.new_page()
        tab.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        tab.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        tab.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
        yield tab
        mine = [each for each in complaints if "/live" not in each]  # a closed tab cuts its stream
        await browser.close()
    assert mine == []


async def opened(page: Page, path: str = "/") -> None:
    await page.goto(path)
    await expect(page.locator("#link")).to_have_attribute("data-state", "live")
    await expect(page.locator("body[data-position]")).to_have_count(1)


async def test_a_row_appears_and_a_lamp_changes_without_reload(page: Page, liandong: World) -> None:
    await opened(page)
    await page.evaluate("window.sameDocument = true")
    await expect(page.locator("#empty")).to_be_visible()

    told = await liandong.call_in("小区路灯不亮", title="小区路灯不亮")
    await liandong.say(c.AssignCase(case=told.case, lead=unit_of("urban-management")), agent())
    row = page.locator(f'tr[data-id="{told.case}"]')
    await expect(row.locator(".title")).to_have_text("小区路灯不亮")
    await expect(row.locator(".stage")).to_have_text("待签收")
    await expect(row.locator(".lamp .word")).to_have_text("正常")

    await liandong.pass_time(timedelta(days=30))
    await expect(row.locator(".lamp .word")).to_have_text("红灯")
    await expect(row.locator(".left")).to_contain_text("超")
    await expect(page.locator('[data-figure="red"]')).to_have_text("1")
    await expect(page.locator("#news")).to_have_text("红灯 1 件，黄灯 0 件")

    await liandong.say(c.WithdrawCase(case=told.case, words="不用了"), agent())
    await expect(row).to_have_count(0)
    assert await page.evaluate("window.sameDocument") is True


async def test_pausing_holds_the_screen_still_and_resuming_catches_up(page: Page, liandong: World) -> None:
    await opened(page)

    await page.keyboard.press("Alt+KeyP")
    await expect(page.locator("#pause")).to_have_attribute("aria-pressed", "true")
    await expect(page.locator("#link-word")).to_have_text("已暂停")
    position = await page.locator("body").get_attribute("data-position")
    await liandong.call_in("小区路灯不亮", title="小区路灯不亮")
    await expect(page.locator("body")).not_to_have_attribute("data-position", str(position))  # it did hear
    await expect(page.locator("#lines tr")).to_have_count(0)

    await page.keyboard.press("Alt+KeyP")
    await expect(page.locator("#lines tr .title")).to_have_text("小区路灯不亮")


async def test_the_script_says_time_as_the_server_did(page: Page, liandong: World) -> None:
    for number, words in enumerate(("小区路灯不亮", "水管爆裂停水", "暖气不热")):
        await liandong.call_in(words, key=str(number))
    source = await (await page.request.get("/")).text()
    written = re.findall(r'class="left"[^>]*>([^<]+)<', source)
    await page.clock.install(time=0)
    await page.clock.pause_at(1000)  # the tab's own clock stands: what is drawn is what was sent
    await opened(page)

    assert len(written) == 3
    assert await page.locator("#lines .left").all_inner_texts() == written


async def test_seconds_run_in_clock_time_and_stand_still_out_of_hours(page: Page, liandong: World) -> None:
    await liandong.clock.advance(liandong.clock.now().replace(hour=12, minute=30))  # 20:30 in China
    told = await liandong.call_in("小区路灯不亮")
    danger = await liandong.call_in("有人持刀砍人,快来", platform="110-630102")
    await opened(page)
    standing = page.locator(f'tr[data-id="{told.case}"] .left')
    running = page.locator(f'tr[data-id="{danger.case}"] .left')
    stood, ran = await standing.inner_text(), await running.inner_text()

    await expect(running).not_to_have_text(ran, timeout=5000)

    assert await standing.inner_text() == stood


async def test_everything_is_reached_by_keyboard_and_focus_survives_a_frame(
    page: Page, liandong: World
) -> None:
    await liandong.call_in("小区路灯不亮")
    await opened(page)

    await page.keyboard.press("Tab")
    await expect(page.locator(".skip")).to_be_focused()
    seen = set()
    for _ in range(30):
        await page.keyboard.press("Tab")
        seen.add(
            await page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")
        )
    assert {"pause", "English", "红灯", "110", "deadlines"} <= seen

    await page.locator("#deadlines").focus()
    await liandong.call_in("暖气不热")
    await expect(page.locator("#lines tr")).to_have_count(2)
    await expect(page.locator("#deadlines")).to_be_focused()


async def test_english_is_one_click_away(page: Page, liandong: World) -> None:
    await liandong.call_in("小区路灯不亮")
    await opened(page)

    await page.get_by_role("link", name="English").click()

    await expect(page.locator("html")).to_have_attribute("lang", "en")
    await expect(page.locator("#link-word")).to_have_text("Live")
    await expect(page.locator("#deadlines-name")).to_have_text("Deadlines")


async def test_a_lost_connection_is_said_and_mended(page: Page, liandong: World) -> None:
    await opened(page)

    await page.context.set_offline(True)
    await page.evaluate("null")
    liandong.core.feed.close()  # the server ends its streams, as when it drains
    await expect(page.locator("#link")).to_have_attribute("data-state", "lost", timeout=10000)
    await expect(page.locator("#link-word")).to_have_text("连接中断，正在重连")


@pytest.mark.parametrize("width", [320, 1366, 1920])
async def test_nothing_runs_over_the_edge(page: Page, liandong: World, width: int) -> None:
    await liandong.call_in("小区路灯不亮")
    await page.set_viewport_size({"width": width, "height": 900})
    await opened(page)

    wide = await page.evaluate(
        """() => [...document.querySelectorAll("body *")]
          .filter((each) => !each.closest(".scroll, .unseen, .skip"))
          .filter((each) => each.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
          .map((each) => each.className || each.tagName)"""
    )

    assert wide == []
    assert await page.evaluate("document.documentElement.scrollWidth") <= width


CONTRAST = """
() => {
  const parse = (text) => {
    const found = text.match(/[\\d.]+/g).map(Number);
    return { rgb: found.slice(0, 3), alpha: found.length > 3 ? found[3] : 1 };
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.alpha === 1) return colour.rgb;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest(".unseen, .skip")) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(parse(style.color).rgb), light(ground(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) poor.push(`${element.className || element.tagName}: ${ratio.toFixed(2)}`);
    if (parseFloat(style.fontSize) < 12) poor.push(`${element.className}: ${style.fontSize}`);
  }
  return [...new Set(poor)];
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_word_is_readable_in_both_schemes(page: Page, liandong: World, scheme: str) -> None:
    told = await liandong.call_in("小区路灯不亮")
    await liandong.say(c.AssignCase(case=told.case, lead=unit_of("urban-management")), agent())
    await liandong.call_in("有人持刀砍人,快来", platform="110-630102")
    await liandong.pass_time(timedelta(days=8))
    await liandong.call_in("暖气不热", platform="12345-632800", division="632801")
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    await opened(page)

    assert await page.evaluate(CONTRAST) == []


async def test_two_tabs_cost_one_view(page: Page, liandong: World) -> None:
    await opened(page)
    other = await page.context.new_page()
    await opened(other)

    await liandong.call_in("小区路灯不亮", title="小区路灯不亮")

    for tab in (page, other):
        await expect(tab.locator("#lines .title")).to_have_text("小区路灯不亮")
    await other.close()

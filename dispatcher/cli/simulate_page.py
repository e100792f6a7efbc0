"""The charts of a simulated year: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dispatcher.cli.simulate import Forecast, Played, Report

_WIDE, _HIGH = 960, 180
_UNITS = 30


def page(report: Report) -> str:
    """The report as HTML with SVG charts, Chinese first; no script, no address outside."""
    proof = report.run.proof
    verdict = "全部相符 / all as expected" if report.holds else "有出入 / differences were found"
    parts = [
        f"<h1>推演报告 <small>Simulated time</small></h1><p>{escape(report.division)}，{escape(report.first)} 起 "
        f"{report.months} 个月，种子 {report.seed}；来件 {report.run.registered}，共 {report.run.cases} 件。</p>",
        f"<p><b>通知 / notices: {verdict}</b>。应发 expected {proof.expected}，实发 sent {proof.sent}，漏 missing "
        f"{proof.missing}，多 extra {proof.extra}。</p>",
        _chart("每日来件 / calls a day", report.days),
        _chart("各时段来件 / calls by hour", report.hours),
        _chart("每月单位逾期 / late orders by month", report.late_by_month),
        _units(report.units[:_UNITS]),
        _clocks(report.run, report.other),
    ]
    return (
        '<!doctype html><html lang="zh-CN"><head><meta charset="utf-8"><title>推演报告 / Simulated time</title>'
        "<style>body{font:15px/1.6 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}"
        "table{border-collapse:collapse}td,th{padding:.2rem .7rem;border-bottom:1px solid #ddd;text-align:right}"
        "td:first-child,th:first-child{text-align:left}svg{width:100%;height:auto}rect{fill:#2f6f9f}"
        "text{font-size:12px;fill:#444}</style></head><body>" + "".join(parts) + "</body></html>\n"
    )


def _chart(title: str, values: Mapping[str, int]) -> str:
    """Bars, each with its name and number for whoever points at it."""
    if not values:
        return f"<h2>{escape(title)}</h2><p>无 / none</p>"
    most, step = max(max(values.values()), 1), _WIDE / len(values)
    bars = "".join(
        f'<rect x="{number * step:.2f}" y="{_HIGH - value / most * _HIGH:.2f}" width="{max(step * 0.85, 0.5):.2f}" '
        f'height="{value / most * _HIGH:.2f}"><title>{escape(name)}: {value}</title></rect>'
        for number, (name, value) in enumerate(values.items())
    )
    names = list(values)
    return (
        f'<h2>{escape(title)}</h2><svg viewBox="0 0 {_WIDE} {_HIGH + 20}" role="img" aria-label="{escape(title)}">'
        f'{bars}<text x="0" y="{_HIGH + 15}">{escape(names[0])}</text><text x="{_WIDE}" y="{_HIGH + 15}" '
        f'text-anchor="end">{escape(names[-1])}</text><text x="{_WIDE / 2}" y="{_HIGH + 15}" text-anchor="middle">'
        f"最高 most {most}</text></svg>"
    )


def _units(units: list[Forecast]) -> str:
    rows = "".join(
        f"<tr><td>{escape(unit.name)}</td><td>{unit.orders}</td><td>{unit.late}</td><td>{unit.share:.1%}</td>"
        f"<td>{unit.low:.1%}–{unit.high:.1%}</td><td>{unit.late_a_month:.1f}</td></tr>"
        for unit in units
    )
    return (
        "<h2>各单位逾期预测 / breaches to expect by unit</h2><table><tr><th>单位 unit</th><th>交办 orders</th>"
        f"<th>逾期 late</th><th>占比 share</th><th>90% 区间 interval</th><th>每月 a month</th></tr>{rows}</table>"
    )


def _clocks(run: Played, other: Played | None) -> str:
    beside = {line.clock: line for line in other.clocks} if other is not None else {}
    rows = []
    for line in run.clocks:
        more = beside.get(line.clock)
        cells = f"<td>{more.runs}</td><td>{more.late}</td>" if more is not None else ""
        rows.append(f"<tr><td>{escape(line.clock)}</td><td>{line.runs}</td><td>{line.late}</td>{cells}</tr>")
    head = "<th>另一政策 other: runs</th><th>late</th>" if other is not None else ""
    return (
        "<h2>时限 / clocks</h2><table><tr><th>时限 clock</th><th>次数 runs</th><th>逾期 late</th>"
        f"{head}</tr>{''.join(rows)}</table>"
    )

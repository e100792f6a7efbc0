"""`liandong model`: train a recommender from closed cases or a file, measure it, put it in force, take it back."""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from dispatcher.cli.configured import add_config, refuse, settings_of
from dispatcher.cli.progress import progress
from dispatcher.cli.storing import with_core

if TYPE_CHECKING:
    from dispatcher.store.models import Models
    from dispatcher.wiring import Core
    from routing_rules.model.scorer import Card, Recommender
    from routing_rules.model.training import Row

_FEWEST_TO_COMPARE = 50
"""Unseen rows below which two models cannot be told apart."""
_COLUMNS = ("text", "title", "category", "units")


class ModelLine(msgspec.Struct, frozen=True, kw_only=True):
    """One model as it is told about. ``force``: it is the one in force."""

    digest: str
    trained: datetime
    by: str
    force: bool
    cards: tuple[Any, ...]


class Wrong(Exception):
    """A file, column or model cannot be used; the words say which and what to do."""


def register(subparsers: Any) -> None:
    """Adds the verb."""
    parser = subparsers.add_parser("model", help="训练、评测、启用推荐模型 / the trained recommender")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, words: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = actions.add_parser(name, help=words, description=words)
        made.add_argument("--json", action="store_true", help="以 JSON 输出 / answer as JSON")
        add_config(made)
        made.set_defaults(handler=handler)
        return made

    train = action("train", "由办结诉求或 CSV 训练一个候选模型 / a challenger from closed cases or a CSV")
    train.add_argument(
        "file", nargs="*", type=Path, metavar="FILE", help="CSV(可 .gz),列 text title category units"
    )
    train.add_argument(
        "--closed", action="store_true", help="用库中办结的诉求 / learn from the store's closed cases"
    )
    train.add_argument("--seed", type=int, default=1, help="随机种子 / seed (default 1)")
    evaluate = action("evaluate", "用模型没学过的行评测 / measure on rows that it has not learnt")
    evaluate.add_argument("file", nargs="+", type=Path, metavar="FILE", help="CSV(可 .gz)")
    evaluate.add_argument("--model", default="", metavar="DIGEST", help="默认最新的 / default: the newest")
    evaluate.add_argument("--all", action="store_true", help="学过的行也算 / count learnt rows too")
    promote = action(
        "promote", "启用;不如在用模型时拒绝 / put in force; refused when worse than the one in force"
    )
    promote.add_argument(
        "model", nargs="?", default="", metavar="DIGEST", help="默认最新的 / default: the newest"
    )
    promote.add_argument(
        "--on", type=Path, metavar="FILE", help="用此 CSV 与在用模型比较 / compare on this CSV"
    )
    rollback = action("rollback", "退回上一个在用模型 / back to the one that was in force before")
    for one in (promote, rollback):
        one.add_argument("--reason", required=True, metavar="WORDS", help="原因 / why")
        one.add_argument("--by", required=True, metavar="ACCOUNT", help="谁决定的 / who decides")
    action("list", "所有模型与启停记录 / all models, and what was put in force when")
    lessons = action(
        "corrections", "导出人工改判及原因(CSV) / rulings that people changed, with reasons, as CSV"
    )
    lessons.add_argument(
        "--output", type=Path, metavar="FILE", help="写入文件 / file to write (default: stdout)"
    )
    for one in (train, evaluate, promote):
        for column in _COLUMNS:
            one.add_argument(
                f"--{column}-column",
                default=column,
                metavar="NAME",
                help=f"“{column}”列的列名 / name of its column",
            )


def handler(arguments: argparse.Namespace) -> int:
    """Does it. 0 when done, 1 when a promotion is refused, 2 when something cannot be used."""
    work = _ACTIONS[arguments.action]

    async def over(core: Core) -> int:
        from dispatcher.store.models import Models
        from dispatcher.store.releases import Releases

        try:
            return await work(arguments, core, Models(Releases(core.database)))
        except (Wrong, UnicodeDecodeError, csv.Error, ValueError) as fault:
            return refuse(str(fault))

    for field in ("by", "reason"):
        written = getattr(arguments, field, None)
        if written is not None and not 1 <= len(" ".join(written.split())) <= 200:
            return refuse(f"--{field} {written[:40]!r}: 1 至 200 字 / 1 to 200 characters")
    return with_core(settings_of(arguments), over, makes=arguments.action == "train")


async def _train(arguments: argparse.Namespace, core: Core, models: Models) -> int:
    try:
        from routing_rules.model.training import FITS, HEADS, train
    except ModuleNotFoundError as missing:
        raise Wrong(
            f"训练需要 {missing.name} / training needs it: pip install 'liandong[train]' (make setup has it)"
        ) from missing
    rows = [row for file in arguments.file for row in read_rows(file, arguments)]
    if arguments.closed:
        rows += await _closed(core)
    if not rows:
        raise Wrong("没有可学的行:给出 FILE 或 --closed / nothing to learn from: give FILE or --closed")
    now = core.clock.now()
    with progress("train", FITS * len(HEADS), "fit") as bar:
        made = train(
            rows, seed=arguments.seed, now=now, champion=await _champion(models), tick=lambda: bar.update(1)
        )
    digest = await models.keep(made.content, "cli", now)
    if arguments.json:
        _say({"digest": digest, "rows": len(rows), "cards": made.cards, "left_out": made.left_out})
        return 0
    print(f"候选模型 / challenger {digest[:16]}")
    for card in made.cards:
        _tell(card)
    for label, count in made.left_out.items():
        print(f"  · {label or '(空 / empty)'}: {count} 行,太少,未学 / rows, too few to learn")
    return 0


async def _evaluate(arguments: argparse.Namespace, _core: Core, models: Models) -> int:
    from routing_rules.model.scorer import Recommender
    from routing_rules.model.training import evaluate

    model = Recommender((await models.find(arguments.model)).content)
    rows = [row for file in arguments.file for row in read_rows(file, arguments)]
    figures = {
        head: evaluate(model, rows, head, fresh=not arguments.all)
        for head in model.heads
        if any(row.label(head) for row in rows)
    }
    if arguments.json:
        _say({"digest": model.digest, "given": len(rows), "heads": figures})
        return 0
    print(f"模型 / model {model.digest[:16]}")
    for head, one in figures.items():
        print(
            f"  {head}: {one.rows}/{len(rows)} 行 / rows, macro-F1 {one.macro_f1:.4f}, 准确 / accuracy {one.accuracy:.4f}, "
            f"前三 / top 3 {one.top3:.4f}, 校准误差 / calibration error {one.calibration_error:.4f}, "
            f"覆盖 / coverage {one.coverage:.4f} (≥ {one.line:.4f})"
        )
    return 0


async def _promote(arguments: argparse.Namespace, core: Core, models: Models) -> int:
    from routing_rules.model.scorer import Recommender

    wanted = await models.find(arguments.model)
    challenger = Recommender(wanted.content)
    champion = await _champion(models)
    if champion is not None and champion.digest == challenger.digest:
        raise Wrong("它已在用 / it is in force already")
    rows = read_rows(arguments.on, arguments) if arguments.on is not None else []
    worse = why_not(challenger, champion, list(rows))
    if worse:
        print(f"不予启用 / refused: {worse}", file=sys.stderr)
        return 1
    standing = await models.promote(
        wanted.digest, _plain(arguments.by), _plain(arguments.reason), core.clock.now()
    )
    await _lay_copy(core, models)
    _answer(arguments, standing)
    return 0


async def _rollback(arguments: argparse.Namespace, core: Core, models: Models) -> int:
    standing = await models.rollback(_plain(arguments.by), _plain(arguments.reason), core.clock.now())
    await _lay_copy(core, models)
    _answer(arguments, standing)
    return 0


async def _list(arguments: argparse.Namespace, _core: Core, models: Models) -> int:
    from routing_rules.model.scorer import Recommender

    standing = await models.standing()
    lines = []
    for kept in await models.all():
        model = Recommender(kept.content)
        cards = tuple(head.card for head in model.heads.values())
        force = standing is not None and standing.model == kept.digest
        lines.append(
            ModelLine(
                digest=kept.digest, trained=model.trained, by=" ".join(kept.signers), force=force, cards=cards
            )
        )
    history = await models.history()
    if arguments.json:
        _say({"models": lines, "history": history})
        return 0
    for line in lines:
        print(f"{'▶' if line.force else ' '} {line.digest[:16]}  {line.trained:%Y-%m-%d %H:%M}")
        for card in line.cards:
            _tell(card)
    for one in history:
        print(f"  {one.at:%Y-%m-%d %H:%M} {one.action} {one.model[:16] or '—'} {one.by}: {one.reason}")
    return 0


async def _corrections(arguments: argparse.Namespace, core: Core, _models: Models) -> int:
    from dispatcher.domain.stream import SYSTEM
    from dispatcher.views.learning import Correction, corrections
    from dispatcher.views.viewing import Viewer

    heads = [field.name for field in msgspec.structs.fields(Correction)]
    with io.StringIO() if arguments.output is None else arguments.output.open("w", newline="") as out:
        table = csv.writer(out)
        table.writerow(heads)
        count = 0
        async for piece in corrections(Viewer(core.database, SYSTEM, core.library)):
            for one in piece:
                values = [getattr(one, name) for name in heads]
                table.writerow(["|".join(v) if isinstance(v, tuple) else v for v in values])
                count += 1
        if isinstance(out, io.StringIO) and not arguments.json:
            sys.stdout.write(out.getvalue())
    if arguments.json:
        _say({"corrections": count})
    return 0


_ACTIONS: dict[str, Callable[[argparse.Namespace, Core, Models], Awaitable[int]]] = {
    "train": _train,
    "evaluate": _evaluate,
    "promote": _promote,
    "rollback": _rollback,
    "list": _list,
    "corrections": _corrections,
}


def read_rows(path: Path, arguments: argparse.Namespace) -> list[Row]:
    """The rows of a CSV file, UTF-8 with or without a byte-order mark, plain or gzipped.

    Raises:
        Wrong: it cannot be read, or a column that is needed is not there.
    """
    from routing_rules.model.training import Row

    names = {column: getattr(arguments, f"{column}_column") for column in _COLUMNS}
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig", newline="")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8-sig", newline="")
        ) as file:
            table = csv.DictReader(file)
            heads = table.fieldnames or []
            for column in ("text", "category"):
                if names[column] not in heads:
                    raise Wrong(
                        f"{path}: 没有“{names[column]}”列,有 / no such column, there are: {', '.join(heads)}; "
                        f"--{column}-column NAME"
                    )
            return [
                Row(
                    text=row[names["text"]] or "",
                    title=row.get(names["title"]) or "",
                    category=(row[names["category"]] or "").strip(),
                    units=(row.get(names["units"]) or "").strip(),
                )
                for row in table
            ]
    except (OSError, EOFError) as fault:
        raise Wrong(f"{path}: {fault.__class__.__name__}: 读不了 / cannot be read") from fault
    except (UnicodeDecodeError, csv.Error) as fault:
        raise Wrong(f"{path}: 须为 UTF-8 的 CSV / must be CSV in UTF-8: {fault}") from fault


def why_not(challenger: Recommender, champion: Recommender | None, rows: Sequence[Row]) -> str:
    """Why the challenger may not take the place of the champion, or "" when it may.

    Compared is macro-F1 of the category: on ``rows`` that neither has learnt; without rows, on those that the
    challenger's training found the champion not to know; where both learnt the very same rows, by their cards.
    Without a champion it must do better than always naming one label.
    """
    from routing_rules.model.training import evaluate

    card = challenger.heads["category"].card
    if champion is None:
        if card.macro_f1 <= 1.5 / card.labels:
            return (
                f"macro-F1 {card.macro_f1:.4f}: 不比猜好 / no better than guessing among {card.labels} labels"
            )
        return ""
    if rows:
        unseen = [row for row in rows if not _known(challenger, row) and not _known(champion, row)]
        if len(unseen) < _FEWEST_TO_COMPARE:
            return f"只有 {len(unseen)} 行两个模型都没学过 / only {len(unseen)} rows that neither learnt; {_FEWEST_TO_COMPARE} needed"
        ours, theirs = (evaluate(m, unseen, fresh=False).macro_f1 for m in (challenger, champion))
    elif (
        card.rival is not None
        and card.rival.champion == champion.digest
        and card.rival.rows >= _FEWEST_TO_COMPARE
    ):
        ours, theirs = card.rival.ours, card.rival.theirs
    elif champion.heads["category"].card.data == card.data:
        ours, theirs = card.macro_f1, champion.heads["category"].card.macro_f1
    else:
        return "没有可比的行,请用 --on 给出两个模型都没学过的 CSV / nothing to compare on: give --on a CSV that neither learnt"
    if ours < theirs:
        return f"macro-F1 {ours:.4f} < {theirs:.4f} (在用 / in force)"
    return ""


def _known(model: Recommender, row: Row) -> bool:
    from routing_rules.model.grams import folded

    return model.has_seen(folded(row.reading))


async def _closed(core: Core) -> list[Row]:
    from dispatcher.domain.stream import SYSTEM
    from dispatcher.views.learning import closed_cases
    from dispatcher.views.viewing import Viewer
    from routing_rules.model.training import Row

    return [
        Row(text=one.text, title=one.title, category=one.category, units=one.units)
        async for piece in closed_cases(Viewer(core.database, SYSTEM, core.library))
        for one in piece
    ]


async def _lay_copy(core: Core, models: Models) -> None:
    """The copy that `classify` reads; running nodes take the model from the database by themselves."""
    from dispatcher.lists import keep_recommender

    kept = await models.champion()
    keep_recommender(core.settings.data.model, kept.content if kept is not None else None)


async def _champion(models: Models) -> Recommender | None:
    from routing_rules.model.scorer import Recommender

    kept = await models.champion()
    return Recommender(kept.content) if kept is not None else None


def _tell(card: Card) -> None:
    print(
        f"  {card.head}: {card.rows} 行 / rows, {card.labels} 类 / labels, 分组留出 / grouped folds: "
        f"macro-F1 {card.macro_f1:.4f}, 准确 / accuracy {card.accuracy:.4f}, "
        f"准确 ≥{card.accuracy_asked:.0%} 时覆盖 / coverage {card.coverage:.4f} (≥ {card.line:.4f}), "
        f"校准误差 / calibration error {card.calibration_error:.4f}"
    )
    if card.rival is not None and card.rival.rows:
        print(
            f"    与在用模型 / beside the one in force, {card.rival.rows} 行 / rows: "
            f"{card.rival.ours:.4f} : {card.rival.theirs:.4f}"
        )


def _answer(arguments: argparse.Namespace, standing: Any) -> None:
    if arguments.json:
        _say(standing)
    else:
        print(f"在用 / in force: {standing.model[:16] or '无 / none'}")


def _say(answer: object) -> None:
    print(msgspec.json.encode(answer).decode())


def _plain(words: str) -> str:
    return " ".join(words.split())

"""The command line `liandong`: finds the verb, loads that verb's module only, and runs it.

Each verb is a module of `dispatcher.cli` with ``register(subparsers)`` and a handler that returns the exit code:
0 done, 1 done but not as hoped (a proof failed, a fault was found), 2 the question was wrong.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class Verb(NamedTuple):
    """A word after `liandong`, the module that knows it, and what it does."""

    word: str
    module: str
    words: str


VERBS = (
    Verb("serve", "dispatcher.cli.serve", "启动服务 / serve"),
    Verb("db", "dispatcher.cli.db", "数据库升级 / upgrade the database"),
    Verb("demo", "dispatcher.cli.demo", "演示 / the demonstration with live traffic"),
    Verb("worktime", "dispatcher.cli.worktime", "工作时间推算 / count working time"),
    Verb("calendar", "dispatcher.cli.calendar", "放假通知与工作日历 / holiday notices, working days"),
    Verb("policy", "dispatcher.cli.policy", "时限政策 / the deadline policy over open cases"),
    Verb("classify", "dispatcher.cli.classify", "判定受理平台 / who should take a matter"),
    Verb("explain", "dispatcher.cli.explain", "一件诉求的经过与依据 / a case's trail and why"),
    Verb("rules", "dispatcher.cli.rules", "检查清单与数据 / check lists and data"),
    Verb("model", "dispatcher.cli.model", "训练、评测、启用推荐模型 / the trained recommender"),
    Verb("replay", "dispatcher.cli.replay", "重放来件 / replay messages on a manual clock"),
    Verb("simulate", "dispatcher.cli.simulate", "推演一年 / play a year ahead and prove its notices"),
    Verb("import", "dispatcher.cli.import_cases", "导入在办件与故障单 / import open cases and outage forms"),
    Verb("export", "dispatcher.cli.export", "批量导出 / bulk export"),
    Verb("user", "dispatcher.cli.user", "账号 / accounts"),
    Verb("token", "dispatcher.cli.token", "访问令牌 / bearer tokens"),
    Verb("verify", "dispatcher.cli.verify", "核验日志与状态 / prove the log, rows and deadlines"),
    Verb("audit", "dispatcher.cli.audit", "时限稽核 / audit deadlines, release what was set aside"),
    Verb("retention", "dispatcher.cli.retention", "到期销毁个人信息 / erase what is past its time"),
    Verb("backup", "dispatcher.cli.backup", "备份 / back up while running"),
    Verb("restore", "dispatcher.cli.backup", "恢复并自证 / restore, with proof"),
    Verb("relay", "dispatcher.cli.relay", "外发的暂停与恢复 / pause sending out, or resume it"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb and returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    chosen = next((word for word in words if not word.startswith("-")), None)
    parser = argparse.ArgumentParser(
        prog="liandong",
        description="联动：12345 与 110 之间的分派 / dispatches between 12345 and 110",
    )
    subparsers: Any = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")
    known = {verb.word: verb for verb in VERBS}
    if chosen is None:
        for verb in VERBS:
            subparsers.add_parser(verb.word, help=verb.words)
        parser.parse_args(words)  # answers --help, refuses options that are none
        parser.print_help(sys.stderr)
        return 2
    if chosen not in known:
        return _unknown(chosen)
    module = importlib.import_module(known[chosen].module)
    module.register(subparsers)
    arguments = parser.parse_args(words)
    return _run(getattr(arguments, "handler", module.handler), arguments)


def _unknown(word: str) -> int:
    import difflib

    near = difflib.get_close_matches(word, [verb.word for verb in VERBS], n=1)
    hint = f"，是否为 {near[0]}？ / did you mean {near[0]}?" if near else ""
    listed = " ".join(verb.word for verb in VERBS)
    print(f"没有这个命令 / no such command: {word[:60]}{hint}\n可用 / known: {listed}", file=sys.stderr)  # noqa: T201
    return 2


def _run(handler: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    try:
        code = handler(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain about it once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return code


if __name__ == "__main__":
    sys.exit(main())

"""`liandong rules export`: a release or the configured lists written as a folder that an owner can edit."""

from __future__ import annotations

import argparse
from pathlib import Path

from dispatcher.cli.configured import add_config, refuse, settings_of
from dispatcher.cli.rules.sources import SOURCES, NoSuchLists, files_from


def register(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="新文件夹 / a new folder")
    parser.add_argument("--of", default="in-force", metavar="LISTS", help=SOURCES)
    add_config(parser)
    parser.set_defaults(handler=handler)


def handler(arguments: argparse.Namespace) -> int:
    """Writes. 0 when done, 2 when the folder is in use or there are no such lists."""
    folder: Path = arguments.folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        return refuse(f"{folder}: 已有内容,请给一个新文件夹 / is not empty; name a new folder")
    try:
        lists = files_from(arguments.of, settings_of(arguments))
        for name, content in lists.files.items():
            path = folder / (name if "/" in name else f"lists/{name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except (NoSuchLists, OSError) as fault:
        return refuse(fault)
    print(f"{lists.name} → {folder}: {len(lists.files)} 个文件 / files")
    print(f"改好后 / after editing: liandong rules check {folder}")
    return 0

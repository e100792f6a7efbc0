"""What verbs that need settings share: --config, and faults said in words instead of a traceback."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from dispatcher.settings import Settings, SettingsFault, load_settings


def add_config(parser: argparse.ArgumentParser) -> None:
    """Adds ``--config FILE``."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="配置文件（默认 LIANDONG_CONFIG 或 ./config.toml） / configuration file",
    )


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The settings that the command line and the environment ask for.

    Raises:
        SystemExit: they have faults; all were written to standard error (exit code 2).
    """
    try:
        return load_settings(arguments.config, os.environ)
    except SettingsFault as fault:
        print("配置有误 / the configuration has faults:", file=sys.stderr)
        for each in fault.faults:
            print(f"  {each}", file=sys.stderr)
        raise SystemExit(2) from None


def refuse(words: object) -> int:
    """Says on standard error why not; the exit code for a question that cannot be answered."""
    print(words, file=sys.stderr)
    return 2

"""The releases that judge a text (rulebook, places, directory, organisation), read and compiled without the domain.

Small commands start fast because only `routing_rules` and msgspec are imported here. The compiled rulebook is cached
under the digest of its source files; a cache that cannot be read or written is done without.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from dispatcher.data_files import files_of, packaged_files
from dispatcher.settings import Data
from routing_rules.directory import Directory, compile_directory
from routing_rules.loader import Rulebook, compile_rulebook, dump, restore
from routing_rules.organisation import Organisation, compile_organisation
from routing_rules.places import Places, compile_places

if TYPE_CHECKING:
    from routing_rules.model.scorer import Recommender


def rulebook_files(data: Data) -> dict[str, bytes]:
    """Lists, lexicon, examples and the ear's weights under one roof; the names carry their folder."""
    lists = files_of("lists", data.lists)
    # Somebody's own lists bring their own examples beside them; ours would cite items that they do not have.
    examples: dict[str, bytes] = {}
    if data.lists is None:
        with contextlib.suppress(FileNotFoundError):  # examples may all stand beside their items
            examples = files_of("examples", None)
    lexicon = files_of("lexicon", data.lexicon)
    return {
        f"{folder}/{name}": content
        for folder, files in (
            ("lists", lists),
            ("lexicon", lexicon),
            ("examples", examples),
            ("ear", packaged_files("ear", ".tsv")),
        )
        for name, content in files.items()
    }


def rulebook_files_at(folder: Path, data: Data) -> dict[str, bytes]:
    """Lists somebody works on: a folder with `lists/` (and `lexicon/`, `examples/` where they are changed too), or one
    that holds the list files themselves. What it does not bring is the configured one.

    Raises:
        OSError: it cannot be read.
    """
    if not (folder / "lists").is_dir():
        return rulebook_files(msgspec.structs.replace(data, lists=folder))
    files: dict[str, bytes] = {}
    for name, instead in (("lists", data.lists), ("lexicon", data.lexicon), ("examples", None)):
        own = folder / name
        with contextlib.suppress(FileNotFoundError):
            read = files_of(name, own if own.is_dir() else instead)
            files |= {f"{name}/{file}": content for file, content in read.items()}
    own = folder / "ear"
    weights = (
        {path.name: path.read_bytes() for path in sorted(own.glob("*.tsv"))}
        if own.is_dir()
        else packaged_files("ear", ".tsv")
    )
    return files | {f"ear/{file}": content for file, content in weights.items()}


def load_rulebook(files: Mapping[str, bytes], cache: Path | None) -> Rulebook:
    """The compiled rulebook of these files, from the cache where it lies there.

    Raises:
        ExceptionGroup: of `RuleFault`, all faults of the lists.
    """
    if cache is None:
        return compile_rulebook(files)
    key = hashlib.sha256()
    for name in sorted(files):
        key.update(name.encode() + b"\0" + hashlib.sha256(files[name]).digest())
    path = cache / f"rulebook-{_shape()}-{key.hexdigest()}"
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return restore(path.read_bytes())
    book = compile_rulebook(files)
    _keep(path, dump(book))
    return book


def load_organisation(data: Data, places: Places) -> Organisation:
    """The organisation of the deployment; the demonstration's where none is configured.

    Raises:
        ExceptionGroup: of `DataFault`, all faults of the files.
    """
    if data.organisation is not None:
        return compile_organisation(files_of("organisation", data.organisation), places)
    from routing_rules.demo import demo_organisation  # only those without one of their own

    return demo_organisation(places)


def load_places(data: Data) -> Places:
    """The gazetteer. Raises ExceptionGroup of `DataFault`."""
    return compile_places(files_of("places", data.places))


def load_directory(data: Data, places: Places) -> Directory:
    """Which platform answers where. Raises ExceptionGroup of `DataFault`."""
    return compile_directory(files_of("directory", data.directory), places)


def load_recommender(path: Path) -> Recommender | None:
    """The recommender whose copy lies there; None where there is no file.

    Raises:
        BadModel: the file is no model. OSError: it cannot be read.
    """
    if not path.exists():
        return None
    from routing_rules.model.scorer import Recommender  # NumPy costs those who have no model nothing

    return Recommender(path.read_bytes())


def keep_recommender(path: Path, content: bytes | None) -> None:
    """Lay a copy there, whole or not at all; None takes it away.

    Raises:
        OSError: the folder cannot be written.
    """
    if content is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(name).replace(path)


def _shape() -> str:
    """Changes with the code that makes and reads a cached book, so that a new release never reads an old one's."""
    from routing_rules import ear, lexicon, schema, words

    code = b"".join(Path(str(module.__file__)).read_bytes() for module in (schema, lexicon, words, ear))
    return hashlib.sha256(code).hexdigest()[:12]


def _keep(path: Path, content: bytes) -> None:
    """Write the cache whole or not at all; another process may do the same at this moment."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)

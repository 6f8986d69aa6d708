"""From `module:Class` to the harness that an author wrote."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from stoker_conformance.harness import Harness

__all__ = ["HarnessNotFound", "load_harness"]


class HarnessNotFound(ValueError):
    """`module:Class` does not lead to a harness; the message says what to do."""


def load_harness(reference: str) -> type[Harness[Any]]:
    """Return the harness class that `module:Class` names; the current folder is searched too.

    Raises:
        HarnessNotFound: if there is no such module or class, or it is not a harness.
    """
    module_name, colon, class_name = reference.partition(":")
    if not colon or not module_name or not class_name:
        raise HarnessNotFound(
            f"{reference!r} does not name a harness: write module:Class, for example "
            "my_driver.conformance:MyHarness"
        )
    found = getattr(_import(module_name), class_name, None)
    if found is None:
        raise HarnessNotFound(_absent(sys.modules[module_name], class_name))
    if not (isinstance(found, type) and issubclass(found, Harness)):
        raise HarnessNotFound(
            f"{reference} is not a subclass of Harness: derive it from stoker_conformance.Harness"
        )
    return found


def _import(name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:  # as for `python -m`: the author's file is often just here
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            raise HarnessNotFound(_no_module(name)) from error
        raise HarnessNotFound(_broken(name, error)) from error
    except Exception as error:
        raise HarnessNotFound(_broken(name, error)) from error


def _no_module(name: str) -> str:
    if name.endswith(".py") or "/" in name:
        path = Path(name)
        module = ".".join(path.with_suffix("").parts)
        return f"{name!r} is a file, and a module is wanted: write {module}:Class"
    advice = "run the command in the folder of its file, or install its package"
    package = name.partition(".")[0]
    if Path("src", package).exists():
        advice = f"it is in src/{package}: install it with `pip install -e .`"
    return f"there is no module {name}: {advice}"


def _broken(name: str, error: Exception) -> str:
    """Return the error of the author's own code, with the lines that lead to it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames[1:] if "importlib" not in frame.filename]
    lines = "".join(traceback.format_list(own)) + "".join(traceback.format_exception_only(error))
    return f"{name} cannot be imported:\n{lines.rstrip()}"


def _absent(module: ModuleType, name: str) -> str:
    known = [
        key
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Harness) and value is not Harness
    ]
    there = f"; it has {', '.join(known)}" if known else "; it has no harness at all"
    return f"{module.__name__} has no {name}{there}"

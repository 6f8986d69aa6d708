"""From `module:app` to an application."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from stoker import Job, Stoker
from stoker.errors import ConfigurationError, ImportFailed
from stoker.registry import mask

__all__ = ["load", "user_traceback"]


def load(reference: str, app_dir: Path) -> Stoker[Any]:
    """Return the application that `module:app` names.

    `app` may be a `Stoker`, an attribute of something (`config.app`), or a function without
    parameters that returns a `Stoker`. `app_dir` is put on the path of imports, first.

    Raises:
        ImportFailed: if it leads nowhere, or to something else; the cause, where there is one,
            is the error of the user's own code.
        ConfigurationError: if the application itself is put together wrongly.
    """
    module_name, name = _parts(reference)
    module = _import(module_name, app_dir)
    found = _attribute(module, name)
    if isinstance(found, Stoker):
        return found
    if callable(found) and not isinstance(found, type | Job):
        made = _make(found, reference)
        if isinstance(made, Stoker):
            return made
        if inspect.iscoroutine(made):
            made.close()
        raise ImportFailed(
            f"{reference} is a function that returned {_kind(made)}, and not a Stoker application"
        )
    raise ImportFailed(
        f"{reference} is {_kind(found)}, and not a Stoker application{_candidates(module)}"
    )


def user_traceback(error: BaseException) -> str:
    """Return the traceback of an error as its author wants to see it: only of their own code.

    It quotes lines of that code, and a URL with a password may stand in one.
    """
    text = "".join(traceback.format_exception(type(error), error, _own_frames(error)))
    return "".join(mask(line) for line in text.splitlines(keepends=True))


def _parts(reference: str) -> tuple[str, str]:
    module_name, colon, name = reference.partition(":")
    if not colon or not module_name or not name:
        raise ImportFailed(
            f"{reference!r} does not name an application: write module:app, for example jobs:app "
            "for the variable app in jobs.py"
        )
    if module_name.endswith(".py") or "/" in module_name or "\\" in module_name:
        path = Path(module_name.replace("\\", "/"))
        folder = "" if path.parent == Path() else f" --app-dir {path.parent}"
        raise ImportFailed(
            f"{module_name!r} is a file, and a module is wanted: write {path.stem}:{name}{folder}"
        )
    for part in [*module_name.split("."), *name.split(".")]:
        if not part.isidentifier():
            raise ImportFailed(
                f"{reference!r} does not name an application: {part!r} is not a name of Python; "
                "write module:app, for example jobs:app"
            )
    return module_name, name


def _import(name: str, app_dir: Path) -> ModuleType:
    folder = str(app_dir.resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if _own_frames(error) is None:
            # Nothing of the user's has run: it is the reference that is wrong.
            raise ImportFailed(
                f"there is no module {error.name!r}, looked for in {folder} (--app-dir) and in the "
                "environment of this command"
            ) from None
        raise ImportFailed(f"the module {name!r} could not be imported: {error}") from error
    except ConfigurationError as error:
        raise type(error)(f"{_place(error)}: {error}") from error
    except (Exception, SystemExit) as error:
        raise ImportFailed(
            f"the module {name!r} could not be imported: {type(error).__name__}: {error}"
        ) from error


def _attribute(module: ModuleType, name: str) -> object:
    found: object = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise ImportFailed(
                f"the module {module.__name__!r} has no {name!r}{_candidates(module)}"
            ) from None
    return found


def _make(factory: Callable[..., object], reference: str) -> object:
    try:
        inspect.signature(factory).bind()
    except (TypeError, ValueError) as error:
        raise ImportFailed(
            f"{reference} cannot make the application: it is called without arguments ({error})"
        ) from None
    try:
        return factory()
    except ConfigurationError as error:
        raise type(error)(f"{_place(error)}: {error}") from error
    except Exception as error:
        raise ImportFailed(f"{reference}() raised {type(error).__name__}: {error}") from error


def _candidates(module: ModuleType) -> str:
    names = [name for name, found in vars(module).items() if isinstance(found, Stoker)]
    if not names:
        return f"; {module.__name__} has no Stoker application"
    return "; there is " + ", ".join(f"{module.__name__}:{name}" for name in sorted(names))


def _kind(found: object) -> str:
    if isinstance(found, type):
        return f"the class {found.__name__}"
    if isinstance(found, Job):
        return f"the job {found.name}"
    if inspect.iscoroutine(found):
        return "a coroutine (it is to be a plain function)"
    return "None" if found is None else f"an object of {type(found).__name__}"


def _own_frames(error: BaseException) -> TracebackType | None:
    """The traceback from the first frame that is neither of the import system nor of this file."""
    trace = error.__traceback__
    while trace is not None and _is_machinery(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return trace


def _is_machinery(file: str) -> bool:
    return file.startswith("<frozen importlib") or file in (__file__, importlib.__file__)


def _place(error: BaseException) -> str:
    """Where in the user's own code an error came from: the last line before it became ours."""
    frames = traceback.extract_tb(_own_frames(error))
    core = os.path.dirname(inspect.getfile(ConfigurationError))  # noqa: PTH120 - compared as text
    own = [frame for frame in frames if not frame.filename.startswith(core)]
    if not own:
        return "while it was made"
    return f"{Path(own[-1].filename).name}, line {own[-1].lineno}"

"""The tree of errors."""

import inspect
import pickle
import re

import pytest

from stoker import StokerError, errors
from stoker.worker.failure import JobTimeout


def documented_tree() -> dict[str, str]:
    """Each error that the module's docstring draws, with the one above it."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        drawn = re.match(r"^((?:│   |    )*)(├── |└── )?([A-Z]\w+)(?:  |$)", line)
        if drawn is None or (drawn[2] is None and drawn[3] != "StokerError"):
            continue
        depth = len(drawn[1]) // 4 + (drawn[2] is not None)
        del path[depth:]
        parents[drawn[3]] = path[-1] if path else "Exception"
        path.append(drawn[3])
    return parents


def real_tree() -> dict[str, str]:
    """Each error that the module defines, with its first base."""
    return {
        name: error.__bases__[0].__name__
        for name, error in inspect.getmembers(errors, inspect.isclass)
        if issubclass(error, StokerError)
    }


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    assert documented_tree() == real_tree()


def test_every_error_is_public_and_described() -> None:
    assert sorted(real_tree()) == sorted(errors.__all__)
    for name in errors.__all__:
        assert inspect.getdoc(getattr(errors, name)), name


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.InvalidOption, ValueError),
        (errors.InvalidPayload, ValueError),
        (errors.InvalidTime, ValueError),
        (errors.InvalidInput, ValueError),
        (errors.InvalidHandler, TypeError),
        (errors.UnknownJob, LookupError),
        (errors.ResultTimeout, TimeoutError),
        (JobTimeout, TimeoutError),
    ],
)
def test_errors_are_also_what_python_calls_them(
    error: type[Exception], builtin: type[Exception]
) -> None:
    assert issubclass(error, builtin)


def test_an_outage_tells_whether_the_request_may_have_taken_effect() -> None:
    assert errors.DriverUnavailable("away", maybe_applied=True).maybe_applied is True
    assert errors.DriverUnavailable("away", maybe_applied=False).maybe_applied is False


@pytest.mark.parametrize(
    "error",
    [
        errors.NotOpen("closed"),
        errors.DriverUnavailable("away", maybe_applied=True),
        errors.PartlyScheduled("half of it", ["a handle"]),
        errors.JobFailed("it broke", {"id": 7}),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_that_was_pickled_says_the_same(error: StokerError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert (str(copy), vars(copy)) == (str(error), vars(error))

"""From a URL to a driver."""

from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest

from stoker import Stoker, registry
from stoker.errors import ConfigurationError, UnknownScheme
from stoker.registry import driver_for, installed_schemes, mask
from stoker_memory import MemoryDriver


class ThirdParty(MemoryDriver):
    """A driver as someone else's package may bring it."""

    url = ""

    @classmethod
    def from_url(cls, url: str) -> "ThirdParty":
        driver = cls()
        driver.url = url
        return driver


class NoDriver:
    @classmethod
    def from_url(cls, url: str) -> Any:
        return url


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """The entry points that are installed, to be changed."""
    points: list[EntryPoint] = []

    def entry_points(**wanted: Any) -> EntryPoints:
        return EntryPoints(points).select(**wanted)

    monkeypatch.setattr(registry, "entry_points", entry_points)
    return points


def point(scheme: str, name: str) -> EntryPoint:
    return EntryPoint(scheme, f"{__name__}:{name}", registry.ENTRY_POINTS)


def test_a_driver_is_found_by_its_scheme_and_given_the_whole_url() -> None:
    assert isinstance(driver_for("memory://"), MemoryDriver)


def test_a_driver_of_someone_else_needs_nothing_but_an_entry_point(
    installed: list[EntryPoint],
) -> None:
    installed.append(point("scroll", "ThirdParty"))
    found = driver_for("scroll://shelf/7?x=1")
    assert isinstance(found, ThirdParty)
    assert found.url == "scroll://shelf/7?x=1"
    assert Stoker("scroll://shelf", jobs=[]).driver.info.name == "memory"
    assert installed_schemes() == ["scroll"]


@pytest.mark.parametrize(
    ("url", "package"),
    [
        ("redis://localhost", "stoker-redis"),
        ("rediss://localhost", "stoker-redis"),
        ("postgres://localhost/db", "stoker-postgres"),
        ("postgresql://localhost/db", "stoker-postgres"),
        ("sqlite:///jobs.db", "stoker-sqlite"),
        ("memory://", "stoker-memory"),
    ],
)
def test_a_scheme_whose_driver_is_not_installed_says_what_is_and_what_to_install(
    installed: list[EntryPoint], url: str, package: str
) -> None:
    installed += [point("scroll", "ThirdParty"), point("quill", "ThirdParty")]
    with pytest.raises(UnknownScheme) as caught:
        driver_for(url)
    scheme = url.partition(":")[0]
    assert str(caught.value) == (
        f"no installed driver answers to {scheme}:// (installed: quill://, scroll://): "
        f"pip install {package}"
    )


def test_an_unknown_scheme_on_a_bare_installation_says_so(installed: list[EntryPoint]) -> None:
    assert installed == []
    with pytest.raises(UnknownScheme, match=r"installed: none\): install the package of that"):
        driver_for("carrier-pigeon://coop")


@pytest.mark.parametrize("text", ["jobs.db", "", "sqlite", "memory:"])
def test_what_is_no_url_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UnknownScheme, match=r"is not a URL: write for example 'sqlite:///jobs.db'"):
        driver_for(text)


def test_an_entry_point_that_makes_no_driver_is_refused_with_what_is_missing(
    installed: list[EntryPoint],
) -> None:
    installed.append(point("scroll", "NoDriver"))
    with pytest.raises(ConfigurationError, match=r"is no driver: it lacks .*claim.*enqueue"):
        driver_for("scroll://")


def test_an_object_that_is_no_driver_is_refused_with_what_is_missing() -> None:
    wrong: Any = object()
    with pytest.raises(ConfigurationError, match=r"is no driver: it lacks .*claim.*enqueue"):
        Stoker(wrong, jobs=[])


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("redis://user:secret@host:6379/0", "redis://user:***@host:6379/0"),
        ("redis://:secret@host", "redis://:***@host"),
        ("postgres://user:p/w?x#y@host/db", "postgres://user:***@host/db"),
        ("postgres://user@host/db", "postgres://user@host/db"),
        ("sqlite:///jobs.db", "sqlite:///jobs.db"),
        ("redis://host:6379/0", "redis://host:6379/0"),
    ],
)
def test_passwords_are_masked(url: str, masked: str) -> None:
    assert mask(url) == masked


def test_an_unknown_scheme_does_not_give_the_password_away(installed: list[EntryPoint]) -> None:
    assert installed == []
    with pytest.raises(UnknownScheme) as caught:
        driver_for("redis://user:secret@host")
    assert "secret" not in str(caught.value)

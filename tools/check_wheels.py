"""Build every package, check its files, and use it alone in a clean environment.

What a checkout has, an installed package may lack: a module left out of the wheel, a dependency
that another package happened to bring, a README that the index would refuse.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = [*sorted(ROOT.glob("packages/*")), ROOT / "conformance-tests"]
PINS = str(ROOT / "constraints.txt")

# Runs in the clean environment: every module can be imported (a pytest plugin only with pytest),
# and every entry point of the distribution leads to something.
USE = """
import importlib, importlib.metadata, importlib.util, pkgutil, re, sys
distribution, package = sys.argv[1:]
has_pytest = importlib.util.find_spec("pytest") is not None
requirements = importlib.metadata.requires(distribution) or ()
of_extras = {re.match(r"[\\w-]+", line).group() for line in requirements if "extra ==" in line}
module = importlib.import_module(package)
for info in pkgutil.walk_packages(module.__path__, package + "."):
    if has_pytest or not info.name.endswith(".plugin"):
        try:
            importlib.import_module(info.name)
        except ModuleNotFoundError as missing:  # it is for those who have the library of an extra
            if missing.name not in of_extras:
                raise
for entry in importlib.metadata.distribution(distribution).entry_points:
    if has_pytest or entry.group != "pytest11":
        entry.load()
print(distribution, importlib.metadata.version(distribution), "works alone")
"""


def run(*command: str | Path) -> None:
    """Run one command; its failure is ours."""
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise SystemExit(f"failed ({done.returncode}): {' '.join(map(str, command[:4]))} ...")


def build(uv: str, folder: Path, target: Path) -> None:
    """Build the source distribution, and the wheel from that: so both are known to be whole."""
    run(uv, "build", "--quiet", "--build-constraint", PINS, "--out-dir", target, folder)


def check_contents(wheel: Path, source: Path) -> None:
    """The wheel has all files of the package, its type marker and its licence."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for path in source.rglob("*"):
        name = str(path.relative_to(source.parent))
        if path.is_file() and "__pycache__" not in name and name not in names:
            raise SystemExit(f"{wheel.name} lacks {name}")
    if f"{source.name}/py.typed" not in names:
        raise SystemExit(f"{wheel.name} lacks py.typed")
    if not any(name.endswith(".dist-info/licenses/LICENSE") for name in names):
        raise SystemExit(f"{wheel.name} lacks its LICENSE")


def use_alone(uv: str, wheel: Path, overrides: Path, environment: Path) -> None:
    """Install one wheel and what it depends on, nothing else, and import all of it."""
    package = wheel.name.partition("-")[0]
    python = environment / "bin/python"
    run(uv, "venv", "--quiet", "--python", sys.executable, environment)
    install = ["--constraint", PINS, "--override", str(overrides), str(wheel)]
    run(uv, "pip", "install", "--quiet", "--python", python, *install)
    run(uv, "pip", "check", "--quiet", "--python", python)
    run(python, "-I", "-c", USE, package.replace("_", "-"), package)


def main() -> None:
    """Check all packages; the first problem ends it."""
    uv = str(Path(sys.argv[1]).absolute())
    with tempfile.TemporaryDirectory() as name:
        dist = Path(name) / "dist"
        for folder in FOLDERS:
            build(uv, folder, dist)
        run(sys.executable, "-m", "twine", "check", "--strict", *sorted(dist.glob("stoker*")))
        # A registry may hold packages of our names: an override makes sure that ours are taken.
        wheels = {path.name.partition("-")[0]: path for path in sorted(dist.glob("*.whl"))}
        overrides = Path(name) / "overrides.txt"
        ours = [f"{key.replace('_', '-')} @ {path.as_uri()}" for key, path in wheels.items()]
        overrides.write_text("\n".join(ours))
        for folder in FOLDERS:
            (source,) = (folder / "src").glob("stoker*")
            check_contents(wheels[source.name], source)
            use_alone(uv, wheels[source.name], overrides, Path(name) / source.name)
    print(f"{len(wheels)} packages build, and each works alone")


if __name__ == "__main__":
    main()

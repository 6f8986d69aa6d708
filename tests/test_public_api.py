"""Every public name is declared in `__all__`, and every declared name and method is documented.

The sources are read and not imported: a constant's documentation (the string below it) exists only
there. `make api` checks the types of the same names with pyright.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = [*ROOT.glob("packages/*/src"), ROOT / "conformance-tests/src"]

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Assign | ast.AnnAssign
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Module:
    """One source file: what it defines, what it takes from its own package, what it declares."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.definitions: dict[str, tuple[Definition, bool]] = {}
        self.imports: dict[str, tuple[str, str]] = {}
        self.declared: list[str] | None = None
        body = ast.parse(path.read_text()).body
        for position, statement in enumerate(body):
            if isinstance(statement, ast.ImportFrom) and statement.module:
                for alias in statement.names:
                    self.imports[alias.asname or alias.name] = (statement.module, alias.name)
            elif isinstance(statement, (ast.ClassDef, *FUNCTIONS)):
                self._add_documentable(statement)
            elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
                self._add_constant(statement, documented=followed_by_text(body, position))

    def _add_documentable(
        self, statement: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    ) -> None:
        # Of overloads and their implementation, one docstring is enough.
        _, before = self.definitions.get(statement.name, (None, False))
        self.definitions[statement.name] = (statement, before or has_docstring(statement))

    def _add_constant(self, statement: ast.Assign | ast.AnnAssign, *, documented: bool) -> None:
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            if isinstance(target, ast.Name) and not is_type_variable(statement.value):
                self.definitions[target.id] = (statement, documented)
        if "__all__" in self.definitions and statement.value is not None:
            definition, _ = self.definitions.pop("__all__")
            assert definition is statement
            self.declared = ast.literal_eval(statement.value)


def followed_by_text(body: list[ast.stmt], position: int) -> bool:
    """Whether a string follows the statement, as documentation of a constant does."""
    following = body[position + 1] if position + 1 < len(body) else None
    return (
        isinstance(following, ast.Expr)
        and isinstance(following.value, ast.Constant)
        and isinstance(following.value.value, str)
    )


def is_type_variable(value: ast.expr | None) -> bool:
    """Whether this makes a type variable, which is nobody's to use."""
    return isinstance(value, ast.Call) and ast.unparse(value.func) in {"TypeVar", "ParamSpec"}


def has_docstring(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether the class or function says something about itself."""
    return bool(ast.get_docstring(node))


def decorators(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """The decorators, as written."""
    return [ast.unparse(decorator) for decorator in node.decorator_list]


def is_public(name: str) -> bool:
    """Whether no part of a dotted name is private (`__init__` is the package itself)."""
    return not any(part.startswith("_") for part in name.split(".") if part != "__init__")


class Checker:
    """All packages, and what is wrong with their public names."""

    def __init__(self, sources: list[Path]) -> None:
        self.modules: dict[str, Module] = {}
        for source in sources:
            for path in sorted(source.rglob("*.py")):
                name = ".".join(path.relative_to(source).with_suffix("").parts)
                self.modules[name.removesuffix(".__init__")] = Module(path)
        self.contract = self._contract()

    def _contract(self) -> set[str]:
        """Methods of the driver protocols: a driver that has one need not repeat its text."""
        classes = [
            definition
            for name, module in self.modules.items()
            if name.startswith("stoker.driver.")
            for definition, _ in module.definitions.values()
            if isinstance(definition, ast.ClassDef)
        ]
        protocols = [cls for cls in classes if any("Protocol" in ast.unparse(b) for b in cls.bases)]
        return {item.name for cls in protocols for item in cls.body if isinstance(item, FUNCTIONS)}

    def problems(self) -> list[str]:
        """One line for each name that is not declared, not there or not documented."""
        found: dict[str, None] = {}  # a name that is exported twice is reported once
        for name, module in self.modules.items():
            if is_public(name) and is_checked(name, module):
                found.update(dict.fromkeys(self._check(name, module)))
        return list(found)

    def _check(self, name: str, module: Module) -> Iterator[str]:
        declared = module.declared or []
        if module.path.name == "__init__.py":
            for key in sorted(self._exported(name, module) - set(declared)):
                yield f"{name}.{key}: public, but not in __all__"
        elif module.declared is None:
            # Its other names may be of use to its neighbours; what it is for has to be said.
            yield f"{name}: no __all__"
        for key in declared:
            if key != "__version__":
                yield from self._check_name(name, key)

    @staticmethod
    def _exported(name: str, module: Module) -> set[str]:
        """The public names that a package defines, or takes from its own modules."""
        package = name.partition(".")[0]
        own = {
            key
            for key, (source, _) in module.imports.items()
            if source.partition(".")[0] == package
        }
        return {key for key in own | set(module.definitions) if is_public(key)}

    def _check_name(self, name: str, key: str) -> Iterator[str]:
        module = self.modules[name]
        if key in module.definitions:
            definition, documented = module.definitions[key]
            if not documented:
                yield f"{name}.{key}: no docstring"
            if isinstance(definition, ast.ClassDef):
                yield from self._check_methods(name, definition)
        elif key in module.imports:
            source, original = module.imports[key]
            if source in self.modules and f"{source}.{original}" not in self.modules:
                yield from self._check_name(source, original)
        elif f"{name}.{key}" not in self.modules:
            yield f"{name}.{key}: in __all__, but not defined"

    def _check_methods(self, name: str, cls: ast.ClassDef) -> Iterator[str]:
        methods = [item for item in cls.body if isinstance(item, FUNCTIONS)]
        documented = {method.name for method in methods if has_docstring(method)}
        in_core = name.partition(".")[0] == "stoker"
        for method in methods:
            if method.name.startswith("_") or method.name in documented:
                continue
            if "override" in decorators(method) or (method.name in self.contract and not in_core):
                continue
            documented.add(method.name)  # reported once, whatever the number of overloads
            yield f"{name}.{cls.name}.{method.name}: no docstring"


def is_checked(name: str, module: Module) -> bool:
    """Packages declare what they export; so does each public module of the core."""
    if module.path.name == "__init__.py":
        return True
    return name.startswith("stoker.") and name.rpartition(".")[2] != "plugin"


def test_public_names_are_declared_and_documented() -> None:
    problems = Checker(SOURCES).problems()
    assert not problems, "\n" + "\n".join(problems)


BAD = [
    ("def run(): 'Run.'", "stoker.run: public, but not in __all__"),
    ("__all__ = ['run']", "stoker.run: in __all__, but not defined"),
    ("__all__ = ['run']\ndef run(): ...", "stoker.run: no docstring"),
    ("__all__ = ['LIMIT']\nLIMIT = 3", "stoker.LIMIT: no docstring"),
    ("__all__ = ['A']\nclass A:\n x: int = 3", "stoker.A: no docstring"),
    ("__all__ = ['A']\nclass A:\n 'An A.'\n def b(self): ...", "stoker.A.b: no docstring"),
    ("from stoker._hidden import secret", "stoker.secret: public, but not in __all__"),
    ("from stoker._hidden import secret\n__all__ = ['secret']", "stoker._hidden.secret: no doc"),
]
GOOD = [
    "",
    "_x = 3\nT = TypeVar('T')\ndef _run(): ...",
    "__all__ = ['LIMIT']\nLIMIT: int = 3\n'The limit.'",
    "__all__ = ['A']\nclass A:\n 'An A.'\n def b(self): 'Do b.'\n def _c(self): ...",
    "from pathlib import Path\nfrom stoker._hidden import told\n__all__ = ['told']",
]
HIDDEN = "def secret(): ...\ndef told(): 'Told.'"


def test_a_module_says_what_it_is_for(tmp_path: Path) -> None:
    (tmp_path / "stoker").mkdir()
    (tmp_path / "stoker/job.py").write_text("def run(): 'Run.'")
    assert Checker([tmp_path]).problems() == ["stoker.job: no __all__"]


def check_snippet(folder: Path, code: str) -> list[str]:
    """What the checker says about a package `stoker` with this code in it."""
    package = folder / "stoker"
    package.mkdir()
    (package / "__init__.py").write_text(code)
    (package / "_hidden.py").write_text(HIDDEN)
    return Checker([folder]).problems()


@pytest.mark.parametrize(("code", "problem"), BAD)
def test_bad_names_are_found(tmp_path: Path, code: str, problem: str) -> None:
    problems = check_snippet(tmp_path, code)
    assert len(problems) == 1
    assert problems[0].startswith(problem)


@pytest.mark.parametrize("code", GOOD)
def test_good_names_pass(tmp_path: Path, code: str) -> None:
    assert check_snippet(tmp_path, code) == []

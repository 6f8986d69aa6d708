"""Run the code blocks of Markdown files, and compare what they print with what the text says.

    python tools/run_docs.py README.md docs/*.md

A comment right above a block says what is done with it. All blocks of a file run in order, in one
empty folder of their own, with the environment's commands on the PATH:

    <!-- file: app.py -->       the block (of any language) is written to that file
    <!-- run: first.py -->      likewise, and then run with Python
    <!-- shell -->              the block is given to bash, which stops at the first failure
    <!-- excerpt: docs/a.py --> the block is part of that file of the repository, word for word
    <!-- skip: the reason -->   the block is left alone

A block of the language `text` without such a comment, next after one that ran, is what that one
prints, errors included; `...` in it stands for anything. In a `console` block the commands are
the lines that begin with `$ `, and the other lines are what they print. A block of Python or of
commands without a comment is an error: nothing is shown that nobody has run.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT = 60.0  # seconds for one block
CODE = {"python", "py", "pycon", "sh", "bash", "shell", "console"}
BLOCK = re.compile(
    r"(?:^[ ]*<!--\s*(?P<mark>[^\n]*?)\s*-->[ ]*\n(?:[ ]*\n)*)?"
    r"^(?P<indent>[ ]*)```(?P<language>[\w-]*)[^\n]*\n(?P<text>.*?)^[ ]*```[ ]*$",
    re.MULTILINE | re.DOTALL,
)


class Problem(Exception):
    """A block that cannot be run, fails, or prints something else."""


@dataclass
class Block:
    """One fenced block, and the comment above it."""

    line: int
    language: str
    text: str
    action: str
    argument: str


def blocks(document: str) -> Iterator[Block]:
    """The fenced blocks of a document, in order."""
    for match in BLOCK.finditer(document):
        action, _, argument = (match["mark"] or "").partition(":")
        indent = match["indent"]
        text = "".join(
            line.removeprefix(indent) for line in match["text"].splitlines(keepends=True)
        )
        line = document.count("\n", 0, match.start("language")) + 1
        yield Block(line, match["language"], text, action.strip(), argument.strip())


def execute(command: list[str], folder: Path) -> str:
    """Run a command to its end and return what it printed; what it left running ends with it."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "100"}
    # A file and no pipe: a process left in the background would keep a pipe open.
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            raise Problem(f"did not end within {TIMEOUT:.0f} s") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        printed = output.read()
    if process.returncode != 0:
        raise Problem(f"ended with {process.returncode} and printed:\n{printed}")
    return printed


def compare(expected: str, output: str) -> None:
    """See that a block printed what the document says; `...` stands for anything."""
    wanted, got = (
        "\n".join(map(str.rstrip, text.strip().splitlines())) for text in (expected, output)
    )
    pattern = ".*?".join(re.escape(part) for part in wanted.split("..."))
    if not re.fullmatch(pattern, got, re.DOTALL):
        raise Problem(f"printed:\n{got}\n--- but the document says:\n{wanted}")


def write(block: Block, folder: Path) -> Path:
    """Write the block to the file that its comment names."""
    path = folder / block.argument
    if not block.argument or not path.resolve().is_relative_to(folder.resolve()):
        raise Problem(f"`{block.action}` needs the name of a file")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text)
    return path


def excerpt(block: Block) -> None:
    """See that the file named has these lines, one after the other, however far indented."""
    path = ROOT / block.argument
    if not block.argument or not path.is_file():
        raise Problem("`excerpt` needs the name of a file of the repository")
    wanted = textwrap.dedent(block.text).rstrip()
    lines, length = path.read_text().splitlines(), len(wanted.splitlines())
    parts = ("\n".join(lines[start : start + length]) for start in range(len(lines)))
    if wanted not in map(textwrap.dedent, parts):
        raise Problem(f"{block.argument} has no such lines")


def shell(block: Block, folder: Path) -> str:
    """Give the block to bash; return what it printed."""
    bash = ["bash", "-euo", "pipefail", "-c"]
    if block.language != "console":
        return execute([*bash, block.text], folder)
    lines = block.text.splitlines()
    commands = "\n".join(line[2:] for line in lines if line.startswith("$ "))
    output = execute([*bash, commands], folder)
    compare("\n".join(line for line in lines if not line.startswith("$ ")), output)
    return output


def perform(block: Block, folder: Path, output: str | None) -> str | None:
    """Do what the comment above a block says; return what was printed, if it ran."""
    match block.action:
        case "file":
            write(block, folder)
        case "run":
            return execute([sys.executable, str(write(block, folder))], folder)
        case "shell":
            return shell(block, folder)
        case "excerpt":
            excerpt(block)
        case "skip":
            if not block.argument:
                raise Problem("`skip` needs a reason")
        case _ if block.language in CODE:
            raise Problem(
                "say above this block what to do with it: file, run, shell, excerpt or skip"
            )
        case _ if block.language == "text" and output is not None:
            compare(block.text, output)
    return None


def check(path: Path) -> list[str]:
    """Run one document; return what is wrong with it."""
    output: str | None = None
    with tempfile.TemporaryDirectory() as name:
        for block in blocks(path.read_text()):
            try:
                output = perform(block, Path(name), output)
            except Problem as problem:
                # What follows would only fail for the same reason.
                return [f"{path}:{block.line}: {problem}"]
    return []


def main() -> None:
    """Run the documents named on the command line."""
    problems = [problem for name in sys.argv[1:] for problem in check(Path(name))]
    print("\n".join(problems) or f"{len(sys.argv) - 1} documents run as they say")
    raise SystemExit(bool(problems))


if __name__ == "__main__":
    main()

"""`python -m stoker_conformance`, where the command is not on the path."""

from stoker_conformance.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main(prog_name="stoker-conformance")

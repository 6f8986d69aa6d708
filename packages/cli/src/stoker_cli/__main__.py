"""`python -m stoker_cli`, where the command is not on the path."""

from stoker_cli._main import main

__all__: list[str] = []

if __name__ == "__main__":
    main(prog_name="stoker")

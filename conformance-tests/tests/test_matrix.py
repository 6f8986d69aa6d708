"""The kill matrix that is kept with the sources is complete, and as good as it has to be."""

from dataclasses import replace

from matrix.page import PAGE, page_of
from matrix.table import MATRIX, Row, cases, complaints, kills, load, lost, text_of


def test_the_matrix_fits_the_saboteurs_and_the_cases() -> None:
    assert complaints(load()) == []


def test_its_files_are_what_is_written_from_it() -> None:
    matrix = load()
    assert MATRIX.read_text("utf-8") == text_of(matrix)
    assert PAGE.read_text("utf-8") == page_of(matrix)


def test_a_kill_that_is_lost_is_noticed() -> None:
    matrix = load()
    name, row = next((name, row) for name, row in matrix.items() if row.listed)
    matrix[name] = replace(row, red=())
    assert lost(matrix) == [f"{name} survives {case_id}" for case_id in row.listed]
    assert set(lost(matrix)) <= set(complaints(matrix))


def test_rows_without_a_saboteur_and_saboteurs_without_a_row_are_noticed() -> None:
    matrix = load()
    name = next(iter(matrix))
    row = matrix.pop(name)
    matrix["gone.Saboteur"] = Row("It has left.", (), ("CLM-04", "OLD-01"))
    noticed = complaints(matrix)
    assert f"{name} is not in the matrix" in noticed
    assert "there is no saboteur gone.Saboteur" in noticed
    assert "there is no case OLD-01" in noticed
    matrix[name] = replace(row, defect="Another.")
    assert f"the matrix has not the defect or the killers of {name}" in complaints(matrix)


def test_a_case_that_kills_nobody_is_noticed() -> None:
    blind = {
        name: replace(row, red=tuple(one for one in row.red if one != "CLM-04"))
        for name, row in load().items()
    }
    assert "CLM-04 kills nobody" in complaints(blind)


def test_every_case_that_is_run_is_on_the_page() -> None:
    assert list(kills({})) == [case.id for case in cases()]

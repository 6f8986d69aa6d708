"""The kill matrix: which case is red for which saboteur.

    python -m matrix                  run everything, write the matrix again (`make matrix`)
    python -m matrix --only NAME ...  run these saboteurs only, and keep the other rows
    python -m matrix --case ID ...    run these cases only, and keep the other columns

The table of saboteurs says which cases have to be red; the matrix says which are. It is kept with
the sources, so that a change of a case which makes it blind shows as a change of the matrix.
"""

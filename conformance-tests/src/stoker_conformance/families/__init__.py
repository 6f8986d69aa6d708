"""The cases, one module a family; `stoker_conformance.catalog` has them in order."""

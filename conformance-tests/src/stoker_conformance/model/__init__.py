"""An independent model of the contract: what any driver has to answer, in plain dictionaries.

It is written from the docstrings of `stoker.driver` alone, and knows no driver. Where the contract
says exactly what is to be answered, a function of the model takes a request and returns the answer.
Where it leaves a choice (a short claim, which of the due jobs a promote takes), the function also
takes what a driver answered, refuses what is not among the choices, and goes on from there.

The modules are the roles of a driver: `producing`, `consuming`, `administering`, `inspecting` and
`scheduling`. All of them work on a `World`, which `lifecycle` and `keys` change by the rules that
the roles share. Nothing here is fast, or safe for two callers: a model is asked one thing at a
time.
"""

from stoker_conformance.model.world import Hold, World

__all__ = ["Hold", "World"]

"""The heap agrees with a sorted list, whatever is taken out of its middle."""

from hypothesis import given
from hypothesis import strategies as st

from stoker_memory._heap import Heap, Ranked

# Push an item of this time (0..20), or remove the n-th of those present.
steps = st.lists(st.tuples(st.booleans(), st.integers(0, 20)), max_size=200)


@given(steps)
def test_the_first_is_the_lowest_after_any_pushes_and_removals(
    steps: list[tuple[bool, int]],
) -> None:
    heap: Heap[Ranked] = Heap()
    model: list[Ranked] = []
    for number, (push, value) in enumerate(steps):
        if push or not model:
            item = Ranked()
            heap.push(item, (value, f"{number:03}"))
            model.append(item)
        else:
            heap.remove(model.pop(value % len(model)))
        model.sort(key=lambda item: item.rank)
        assert heap.first() is (model[0] if model else None)
        assert len(heap) == len(model)

    drained = []
    while (first := heap.first()) is not None:
        heap.remove(first)
        drained.append(first)
    assert drained == model

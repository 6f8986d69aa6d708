"""Programs that Hypothesis makes up, run on a driver and on the model side by side.

`machine` has the steps that a program may take, `requests` what they ask for. `bridge` lets them
run in a thread of their own, where Hypothesis is at home, while the driver stays on its event
loop; `program` writes down what was done, for the one who has to read it. `exploring` puts them
together: it looks for a program whose answers the model refuses, and for the shortest of them.
"""

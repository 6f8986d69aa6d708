"""What all tests of the repository share."""

from hypothesis import settings

# A deadline would judge the machine, not the code; a failing example is printed in full, so that it
# can be repeated elsewhere.
settings.register_profile("stoker", deadline=None, print_blob=True)
settings.load_profile("stoker")

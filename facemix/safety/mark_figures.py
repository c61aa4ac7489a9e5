"""What was measured of the invisible mark, for the words in which it is spoken of.

`python -m benchmarks.marking` prints these figures; a test compares them with its results file.
"""

PHOTOGRAPHS = 1000  # without a mark, each with a hundred thousand recipes that it could be taken for
TAKEN_FOR_MARKED = 0
RESULTS = 256  # marked, then made smaller by half and saved as JPEG of quality 50
FOUND = 255  # of these

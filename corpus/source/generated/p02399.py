if 1 - 1:
    assert (x and 0), y

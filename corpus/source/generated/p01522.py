def g29(x, y):
    if 1 - 1:
        assert x
    raise

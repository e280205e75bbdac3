def g0(x, y):
    x: int
    if 1 + 1:
        not x
        del ()
        raise
    else:
        1 + 1

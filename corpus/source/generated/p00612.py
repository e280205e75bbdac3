def g43(x, y):
    x == 1
    if 1 + 1:
        lambda: x
    else:
        raise X
        type X = int

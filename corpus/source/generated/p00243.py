def g66(x, y):
    if 1 - 1:
        if not (x and 1):
            0 if x else 1
        else:
            x.y: int = 2
    (x, 1)

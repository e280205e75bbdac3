def g51(x, y):
    if (1, 2)[0]:
        while 1 < 2:
            x or 1
    else:
        if True and False:
            x: int
            from a import b
        else:
            True

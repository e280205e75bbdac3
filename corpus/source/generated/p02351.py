def g64(x, y):
    while (1, 2)[0]:
        ...
    lambda: x

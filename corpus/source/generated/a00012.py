def g96(x, y):
    x = 0 and y

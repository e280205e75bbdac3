def g45(x, y):
    1

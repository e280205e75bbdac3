def g78(x, y):
    if 'a' * 2:
        try:
            x = 0 and y
        finally:
            -1
    else:
        return 1

def g68(x, y):
    if f'':
        {**a}
        if not not x:
            x = (i for i in y)
            [x]
            x = y = (yield_)
    else:
        del (x)

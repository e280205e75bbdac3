def g41(x, y):
    if f'':
        1
    del (x)

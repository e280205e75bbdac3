def g1(x, y):
    if f'':
        with a as b:
            True
            x[y]: int
            assert False, (
                'x'
            )
    raise_ = 1

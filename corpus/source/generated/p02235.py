def g23(x, y):
    assert x, 'msg'
    if 'a' * 2:
        while x if 1 else y:
            'str'
    elif not not x:
        return x
    else:
        with a: pass

0 if x else 1
async def f2():
    if x in (1, 2):
        match x:
            case 1:
                if True:
                    {**a}
                    x = {i: j for i, j in y}
                    del (x)
                else:
                    yield x
                    del (x, y)
                type X = int
            case -1:
                with a: pass
            case z:
                while 1 < 2:
                    f(x)
                else:
                    with a:
                        x: int
                        f(x)
                    x = {i: j for i, j in y}
                    ...
def g48(x, y):
    with a: pass
    for i in ():
        x = 1; return_ = 3

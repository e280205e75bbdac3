raise
def g1(x, y):
    assert 1
    try:
        if x: pass
        a.b
        for i in [1, 2]:
            match x:
                case [a, b] if __debug__:
                    while 0.0:
                        x = 1; return_ = 3
                        assert x
                    else:
                        import a
                    global g
                case _ if x:
                    try:
                        x == 1
                        assert (x and 0), y
                        while 0: pass
                    except (E, F):
                        x = 1; return_ = 3
                        x.y: int = 2
                        x.y: int = 2
                    else:
                        print(*a, **b)
                    finally:
                        del (x, y)
            while 0:
                if 'a' 'b':
                    self.a: int
                    del x
                    'a' + 'b'
                else:
                    del ()
                    x = {i: j for i, j in y}
                b'x'
            return
        else:
            match x, y:
                case (1 as z):
                    return (
                        x,
                        y
                    )
                case _ if x:
                    if f'{x}':
                        x[y]: int
                        x = {i: j for i, j in y}
                    else:
                        lambda: x
                        x: int
    finally:
        while '%s' % x:
            if -0:
                for i in x: pass
                with a: pass
            elif x if 1 else y:
                lambda: x
            else:
                while True:
                    global g
                else:
                    self.a: int
                    assert 1
                @a.b
                @dec
                async def f2[T: int, *Ts](a: int):
                    x or 1
                    f(x)
                    from a import b
            try:
                'str'
                'a' + 'b'
            except E as e:
                print(f'{x!r:>{y}}')
            print(*a, **b)

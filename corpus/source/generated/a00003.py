def g22(x, y):
    try:
        return
    except E:
        match x:
            case (1 as z):
                1 + 1
                None
            case [a, *_]:
                ...
            case C(x=1):
                if not 0:
                    match x, y:
                        case 1 | 2:
                            ...
                            x.y: int = 2
                        case None:
                            f(x)
                        case [a, b] if 1 - 1:
                            True
                            (1, 2)
                        case _ if 1:
                            'str'
                    match x, y:
                        case [a, *_] if ...:
                            'str'
                            global g
                    raise_ = 1
                elif (1, 2)[0]:
                    1
                    for i in [1, 2]:
                        x
                        global g
                        a = b = c
                else:
                    if b'':
                        'str'
                        assert (x and 0), y
                        x = (
                            1,
                            y,
                        )
                    else:
                        {**a}
                    try:
                        x = y = (yield_)
                    except (E, F):
                        for i in x: pass
                    except E:
                        from a import b
                    except:
                        x = 0 and y
                        import a
                    else:
                        x[y]: int
                    finally:
                        1 + 1
                        pass
                    x and y
        for i in range(3):
            self.a: int
    except E as e:
        if ...:
            del x
            x: int
        a.b.c()
    finally:
        f'a{x}' 'b'
def g98(x, y):
    not x
    if None is None:
        try:
            x = (i for i in y)
        except (E, F):
            if {1: 2}:
                for i in x:
                    x
                    f'a{x}' 'b'
                    (x, 1)
                try:
                    x = {i: j for i, j in y}
                    del (x, y)
                    global g
                finally:
                    print(*a, **b)
                    from a import b
                    x == 1
                x: int = 1
            else:
                x[y]: int
                while 0: pass
        finally:
            if 1 and x:
                match 1:
                    case (1 as z):
                        import a
                    case [a, *_]:
                        1
                        f'a{x}' 'b'
                    case x.y if x or (y and 0):
                        while 0: pass
                    case _:
                        assert x, 'msg'
                None
                -1
            else:
                x = lambda: 0
                while 1 + 1:
                    print(*a, **b)
                    lambda: x
                @dec
                class C6(metaclass=M):
                    assert x
            class C7(B):
                x: int
                try:
                    x += 1
                finally:
                    self.a: int
                    (1, 2)
                    x and y
                -1
        for i in range(3):
            if ~0:
                if 0:
                    a.b
                    del (x, y)
                    x = (
                        1,
                        y,
                    )
                else:
                    (x): int
            elif await_ and 0:
                x = 1; y = 2
                if (0 and x) or y:
                    x = not \
                        y
        for i in range(3):
            try:
                def f5(
                    a,
                    b=lambda: 0,
                ) -> int:
                    x = [i for i in y]
                if 0:
                    f(x)
                    x = 1; return_ = 3
                else:
                    -1
                    type X[T] = list[T]
            finally:
                return (
                    x,
                    y
                )
                @dec
                class C4(B):
                    a = b = c
        else:
            x = 1

def g58(x, y):
    'a' + 'b'
    for i in [1, 2]:
        try:
            a = b = c
        finally:
            while -1:
                assert (x and 0), y
                match x, y:
                    case x.y:
                        pass
                        f'a{x}' 'b'
                    case C(x=1):
                        type X[T] = list[T]
                        assert x, 'msg'
                    case 'a':
                        del (x, y)
                *a, b = c
    while '%s' % x:
        def f1(a) -> int:
            f(x)
            @dec
            class C6(B):
                b'x'
                assert 1
                1
        return
        for i in range(3):
            while 0: pass
        else:
            f(x)
            break
            self.a: int
    for i in x:
        1 + 1
def g24(x, y):
    for i in ():
        if (1, 2)[0]:
            continue
            assert x
            assert x
        else:
            if x:
                match 1:
                    case None if 0 or x:
                        from a import b
                    case 1 | 2:
                        x[y]: int
                    case 'a':
                        del x
            else:
                pass
            try:
                'a' + 'b'
                if (not x) or 1:
                    x[y]: int
            except E:
                while f'{x}':
                    x or 1
                    b'x'
                x: int = 1
            finally:
                x: int
    x: int
    if x and (y or 0):
        from a import b
    if (0 and x) or y:
        pass
        x = 0 and y
        with a, b as c:
            for i in x:
                x = [i for i in y]
                0 if x else 1
                if (x, y):
                    type X[T] = list[T]
                    assert 0
                    await_(x)
            else:
                await_(x)
            try:
                while 'a':
                    type X[T] = list[T]
            except E:
                for i in ():
                    x: int = 1
            if ():
                x = '''multi
line'''
            elif not __debug__:
                while 1 if 0 else x:
                    x = yield_
                    f(x)
                else:
                    x = (i for i in y)
                try:
                    import a
                    pass
                except E:
                    print(f'{x!r:>{y}}')
                    x = [i for i in y]
                    x.y: int = 2
                else:
                    from a import b
                finally:
                    not x
            elif 0 or x:
                with a as b:
                    x: int = 1
                    x = '''multi
line'''
                if x in (1, 2):
                    type X = int
                    assert 1
                    assert False, (
                        'x'
                    )
                else:
                    x = 1; return_ = 3
                x = 1; y = 2
            elif not x:
                for i in ():
                    del (x, y)
                    x = (
                        1,
                        y,
                    )
                else:
                    x: int = 1
                    not x
                    a.b.c()
                pass
                @dec
                class C6(metaclass=M):
                    del x
            elif {1: 2}:
                x = a if b else (
                    c
                )
    elif {}:
        x = 1
    elif x:
        x = [i for i in y]
def g60(x, y):
    del (x)
    def f7[T](a: int):
        for i in x:
            while {}:
                for i in ():
                    del x
                    1
                    (x, 1)
            else:
                if 0: y = 1
                (x, 1)
        try:
            try:
                raise X
                with (a as b, c):
                    x = 1; return_ = 3
                if await_ and 0:
                    while 0: pass
                    del (x)
                    self.a: int
                elif (0 and x) or y:
                    assert x
                elif x if 1 else y:
                    1
                    1 + 1
            except E:
                if []:
                    global g
                elif 1 and x:
                    [x]
                    assert x, 'msg'
                try:
                    f(
                        x,
                        lambda: (
                            y
                        ),
                    )
                    x = not \
                        y
                    del ()
                except (E, F):
                    del x
                    None
                except E as e:
                    self.a: int
                a = b = c
        except E:
            while []:
                class C7:
                    x = lambda: 0
                del (x)
                with (a as b, c):
                    while 0: pass
            'str'
        assert 0
    for i in x: pass
    global g

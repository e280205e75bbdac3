def g39(x, y):
    if (1, 2)[0]:
        return 1
    elif -1:
        print(f'{x!r:>{y}}')
    else:
        x = 1; y = 2
        class C5(metaclass=M):
            *a, b = c
        'a' + 'b'

match 1:
    case {"k": v} if f'':
        not x
        None
    case _ if x:
        print(f'{x!r:>{y}}')

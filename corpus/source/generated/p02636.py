match x:
    case C(x=1) if (0 and x) or y:
        1
    case (1 | _):
        if (1, 2)[0]:
            raise X
        else:
            while ~0:
                pass

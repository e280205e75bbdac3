def g16(x, y):
    b'x'
    global g

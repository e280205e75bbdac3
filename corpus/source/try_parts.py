"""Definitions in every part of a `try`: coverage.py 7.17 comes to the handlers last."""

try:
    def in_body(): pass
except ValueError:
    def in_handler(): pass

    try:
        pass
    except KeyError:
        class InnerHandler:
            def method(self): pass
    else:
        def inner_else(): pass
    finally:
        def inner_finally(): pass
except TypeError:
    def in_second_handler():
        def nested(): pass
        return nested
else:
    def in_else(): pass
finally:
    def in_finally(): pass


def group():
    try:
        pass
    except* OSError:
        def in_group(): pass
    else:
        def after_group(): pass


for _ in ():
    def in_loop(): pass
else:
    def after_loop(): pass

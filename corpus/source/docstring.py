

"""only a docstring"""
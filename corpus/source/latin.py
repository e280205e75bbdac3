# -*- coding: latin-1 -*-
x = "é"  # pragma: no cover
y = "é"

"""The primer: how a convolutional network works, shown on CT.

`ops` is every operation in plain NumPy, written to be read.
"""

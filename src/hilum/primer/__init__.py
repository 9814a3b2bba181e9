"""The primer: how a convolutional network works, shown on CT.

`ops` is every operation in plain NumPy, written to be read; `lessons` the texts and
what Python computes for them; `pages` and `static` the pages, on which the twins of
`ops` compute while a reader moves something; `scene` and `patient` the CT that they
are shown on; `site`, `server`, `runs` and `trainer` what stands behind; `sheet` the
spreadsheet.
"""

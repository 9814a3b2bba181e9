"""The web page and the REST API: the only package that knows FastAPI.

`serve` runs them; `make_app` makes the application for other servers and for tests.
`guard` stands before everything, `routes_*` hold the API, `models` what it speaks.
"""

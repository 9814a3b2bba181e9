"""What a service keeps of its jobs and of people, in one database.

SQLite in the data folder by default, PostgreSQL by its URL. Rows are values of
`hilum.findings.Record` outside of here; only this package knows SQL.
"""

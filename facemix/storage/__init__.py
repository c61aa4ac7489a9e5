"""State that outlives a request or is shared by several processes: database, migrations, blob store.

SQLite in a file by default, PostgreSQL by URL; blobs in a folder by default, in an S3-compatible store by URL. What is
stored, and what never is, stands in ``docs/storage.md``. Nothing is imported here: only those who
use SQLAlchemy wait for its import.
"""

"""Run by Alembic on behalf of `facemix.storage.migrate`, inside the transaction that holds the lock."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()

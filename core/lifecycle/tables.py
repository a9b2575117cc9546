"""The store's tables. Rows are only ever added; the database itself refuses to change or delete one."""

from __future__ import annotations

from core.errors import CrossdomainError

try:
    import sqlalchemy as sa
except ModuleNotFoundError as error:
    raise CrossdomainError(
        "The store of labels and proposals needs SQLAlchemy, which is not installed.",
        repair="Run `pip install 'crossdomain[dashboard]'`.",
    ) from error
from sqlalchemy.schema import CreateTable

METADATA = sa.MetaData()
SHORT, NAME = sa.String(64), sa.String(200)


def _table(name: str, *columns: sa.Column) -> sa.Table:
    """A table whose ids rise and whose rows know when (ISO, UTC) and by whom they were added."""
    return sa.Table(
        name,
        METADATA,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", SHORT, nullable=False),
        sa.Column("who", NAME, nullable=False),
        *columns,
        sqlite_autoincrement=True,
    )


LABELS = _table(
    "labels",
    sa.Column("vertical", NAME, nullable=False),
    sa.Column("domain", NAME, nullable=False),
    sa.Column("sample_id", sa.Text, nullable=False),
    sa.Column("label", NAME, nullable=False),
    sa.Column("seconds", sa.Float),  # from seeing the case to the label
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("undoes", sa.ForeignKey("labels.id"), unique=True),  # the label that this row takes back
    sa.Column("batch", NAME, nullable=False),  # the work list it was labelled in; may be empty
    sa.Index("labels_by_domain", "vertical", "domain"),
)
BATCHES = _table(
    "batches",
    sa.Column("vertical", NAME, nullable=False),
    sa.Column("domain", NAME, nullable=False),
    sa.Column("batch", NAME, nullable=False),
    sa.Column("delivered", sa.JSON, nullable=False),  # sample id -> label, empty = withdrawn
    sa.UniqueConstraint("vertical", "domain", "batch"),
)
PROPOSALS = _table(
    "proposals",
    sa.Column("vertical", NAME, nullable=False),
    sa.Column("domain", NAME, nullable=False),
    sa.Column("model_digest", SHORT, nullable=False),
    sa.Column("threshold", sa.Float, nullable=False),
    sa.Column("cost_false_negative", sa.Float, nullable=False),
    sa.Column("cost_false_positive", sa.Float, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("figures", sa.JSON, nullable=False),
)
DECISIONS = _table(
    "decisions",
    sa.Column("proposal_id", sa.ForeignKey("proposals.id"), nullable=False, unique=True),
    sa.Column("decision", SHORT, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)
AUDIT = _table(
    "audit",
    sa.Column("role", SHORT, nullable=False),
    sa.Column("action", SHORT, nullable=False),
    sa.Column("vertical", NAME, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("details", sa.JSON, nullable=False),
    sa.Column("previous_hash", SHORT, nullable=False, unique=True),
    sa.Column("hash", SHORT, nullable=False),
    sa.Index("audit_by_subject", "action", "subject"),
)

REFUSAL = "rows of this table are only added"
POSTGRES_FUNCTION = f"""CREATE OR REPLACE FUNCTION crossdomain_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$"""


def create_statements(dialect: str) -> list[sa.Executable]:
    """What makes tables, indexes and triggers where they are not there yet; PostgreSQL and SQLite.

    Raises:
        CrossdomainError: another kind of database.
    """
    if dialect not in ("sqlite", "postgresql"):
        raise CrossdomainError(
            f"The store cannot be kept in {dialect}.", repair="Set CROSSDOMAIN_STORE to a sqlite or postgresql URL."
        )
    statements: list[sa.Executable] = []
    for table in METADATA.sorted_tables:
        statements.append(CreateTable(table, if_not_exists=True))
        for index in sorted(table.indexes, key=lambda index: index.name):
            statements.append(sa.schema.CreateIndex(index, if_not_exists=True))
    triggers = _sqlite_triggers() if dialect == "sqlite" else _postgres_triggers()
    return statements + [sa.text(text) for text in triggers]


def _sqlite_triggers() -> list[str]:
    return [
        f"CREATE TRIGGER IF NOT EXISTS {table.name}_no_{change.lower()} BEFORE {change} ON {table.name} "
        f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
        for table in METADATA.sorted_tables
        for change in ("UPDATE", "DELETE")
    ]


def _postgres_triggers() -> list[str]:
    return [POSTGRES_FUNCTION] + [
        f"CREATE OR REPLACE TRIGGER {table.name}_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON {table.name} "
        "FOR EACH STATEMENT EXECUTE FUNCTION crossdomain_refuse()"
        for table in METADATA.sorted_tables
    ]

"""How far a job is on each of its targets is kept, by triggers that count its tasks.

Whoever follows a job of a hundred thousand tasks reads a row for each target. The database counts,
not the code: every statement that changes a task is counted, in its own transaction. A migration
that makes the table of tasks anew on SQLite has to make these triggers anew, too.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_IS_OPEN = "state IN ('queued', 'leased')"
#: a column of the counts, and what a task adds to it
_COUNTS = {
    "open_tasks": f"CASE WHEN {_IS_OPEN} THEN 1 ELSE 0 END",
    "done_tasks": "CASE WHEN state = 'done' THEN 1 ELSE 0 END",
    "failed_tasks": "CASE WHEN state = 'failed' THEN 1 ELSE 0 END",
    "cancelled_tasks": "CASE WHEN state = 'cancelled' THEN 1 ELSE 0 END",
    "reused_tasks": "CASE WHEN state = 'reused' THEN 1 ELSE 0 END",
    "open_visits": f"CASE WHEN {_IS_OPEN} THEN visits_done ELSE 0 END",
    "closed_visits": f"CASE WHEN {_IS_OPEN} OR state = 'reused' THEN 0 ELSE visits_done END",
}
_COLUMNS = ", ".join(_COUNTS)


def upgrade() -> None:
    op.create_table(
        "job_targets",
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("target_id", sa.String(length=16), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in _COUNTS),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_targets_job_id")),
        sa.ForeignKeyConstraint(
            ["target_id"], ["targets.id"], name=op.f("fk_job_targets_target_id")
        ),
        sa.PrimaryKeyConstraint("job_id", "target_id", name=op.f("pk_job_targets")),
    )
    op.create_index(op.f("ix_job_targets_target_id"), "job_targets", ["target_id"], unique=False)
    sums = ", ".join(f"sum({added})" for added in _COUNTS.values())
    op.execute(
        f"INSERT INTO job_targets (job_id, target_id, position, {_COLUMNS}) "  # noqa: S608
        f"SELECT job_id, target_id, min(position), {sums} FROM tasks GROUP BY job_id, target_id"
    )
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _on_sqlite() if is_sqlite else _on_postgresql():
        op.execute(statement)


def downgrade() -> None:
    of_table = "" if op.get_bind().dialect.name == "sqlite" else " ON tasks"
    for event in ("insert", "update", "delete"):
        op.execute(f"DROP TRIGGER tasks_counted_on_{event}{of_table}")
    if of_table:
        op.execute("DROP FUNCTION count_tasks()")
    op.drop_index(op.f("ix_job_targets_target_id"), table_name="job_targets")
    op.drop_table("job_targets")


def _on_sqlite() -> Sequence[str]:
    """A trigger counts row by row."""

    def added(row: str, count: str) -> str:
        for column in ("state", "visits_done"):
            count = count.replace(column, f"{row}.{column}")
        return f"({count})"

    def changed(plus: str, minus: str) -> str:
        """Adds what a task is now and takes away what it was."""
        of_rows = [
            (
                name,
                [f"+ {added(plus, one)}"] * bool(plus) + [f"- {added(minus, one)}"] * bool(minus),
            )
            for name, one in _COUNTS.items()
        ]
        changes = ", ".join(f"{name} = {name} {' '.join(parts)}" for name, parts in of_rows)
        row = plus or minus
        return (
            f"UPDATE job_targets SET {changes} "  # noqa: S608
            f"WHERE job_id = {row}.job_id AND target_id = {row}.target_id;"
        )

    zeros = ", ".join("0" for _ in _COUNTS)
    first = (
        f"INSERT INTO job_targets (job_id, target_id, position, {_COLUMNS}) "  # noqa: S608
        f"SELECT new.job_id, new.target_id, new.position, {zeros} WHERE NOT EXISTS (SELECT 1 "
        "FROM job_targets WHERE job_id = new.job_id AND target_id = new.target_id);"
    )
    # A lease changes nothing that is counted.
    both_open = f"old.{_IS_OPEN} AND new.{_IS_OPEN}"
    same = f"old.visits_done = new.visits_done AND (old.state = new.state OR {both_open})"
    bodies = {
        "insert AFTER INSERT ON tasks": f"BEGIN {first} {changed('new', '')} END",
        "update AFTER UPDATE OF state, visits_done ON tasks": (
            f"WHEN NOT ({same}) BEGIN {changed('new', 'old')} END"
        ),
        "delete AFTER DELETE ON tasks": f"BEGIN {changed('', 'old')} END",
    }
    return [f"CREATE TRIGGER tasks_counted_on_{when} {body}" for when, body in bodies.items()]


def _on_postgresql() -> Sequence[str]:
    """A trigger counts all rows of a statement at once.

    It locks the counts in one order, so that two statements cannot wait for each other.
    """
    now, before = (
        f"SELECT job_id, target_id, position, {sign}1 AS sign, state, visits_done FROM {rows}"  # noqa: S608
        for rows, sign in (("added", "+"), ("removed", "-"))
    )
    sums = ", ".join(f"sum(sign * ({added})) AS {name}" for name, added in _COUNTS.items())
    any_change = " OR ".join(f"sum(sign * ({added})) <> 0" for added in _COUNTS.values())
    sets = ", ".join(f"{name} = job_targets.{name} + excluded.{name}" for name in _COUNTS)

    def counted(rows: str) -> str:
        return (
            f"INSERT INTO job_targets (job_id, target_id, position, {_COLUMNS}) "  # noqa: S608
            f"SELECT job_id, target_id, min(position), {sums} FROM ({rows}) AS changed "
            f"GROUP BY job_id, target_id HAVING {any_change} ORDER BY job_id, target_id "
            f"ON CONFLICT (job_id, target_id) DO UPDATE SET {sets};"
        )

    referencing = {
        "insert": "NEW TABLE AS added",
        "update": "NEW TABLE AS added OLD TABLE AS removed",
        "delete": "OLD TABLE AS removed",
    }
    function = (
        "CREATE FUNCTION count_tasks() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF TG_OP = 'INSERT' THEN {counted(now)} "
        f"ELSIF TG_OP = 'UPDATE' THEN {counted(f'{now} UNION ALL {before}')} "
        f"ELSE {counted(before)} END IF; RETURN NULL; END $$"
    )
    return [
        function,
        *(
            f"CREATE TRIGGER tasks_counted_on_{event} AFTER {event.upper()} ON tasks "
            f"REFERENCING {tables} FOR EACH STATEMENT EXECUTE FUNCTION count_tasks()"
            for event, tables in referencing.items()
        ),
    ]

"""What must be true of the ledger at every commit, as queries that find nothing (RELIABILITY: P2, P3).

Each looks for one kind of broken promise and names the rows that break it. They read only what a person could check by
hand, and share no code with what writes: a mistake there shows here.
"""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_SHOWN = 20  # rows of one kind

# What is wrong, and the query for the rows of which it is true.
CHECKS = {
    "transaction does not sum to zero": """
        SELECT t.id FROM ledger_txn t LEFT JOIN ledger_entry e ON e.txn_id = t.id
        GROUP BY t.id HAVING COALESCE(SUM(e.amount), 0) <> 0 OR COUNT(e.id) < 2""",
    "transaction touches another user's account": """
        SELECT DISTINCT t.id FROM ledger_txn t JOIN ledger_entry e ON e.txn_id = t.id
        JOIN ledger_account a ON a.id = e.account_id WHERE a.user_id <> t.user_id""",
    "balance is not the sum of its entries": """
        SELECT a.id FROM ledger_account a LEFT JOIN ledger_entry e ON e.account_id = a.id
        GROUP BY a.id, a.balance HAVING a.balance <> COALESCE(SUM(e.amount), 0)""",
    "balance is below zero": "SELECT id FROM ledger_account WHERE balance < 0 AND kind <> 'issued'",
    "held balance is not the sum of the open holds": """
        SELECT a.user_id FROM ledger_account a
        LEFT JOIN hold h ON h.user_id = a.user_id AND h.state = 'open' WHERE a.kind = 'held'
        GROUP BY a.user_id, a.balance HAVING a.balance <> COALESCE(SUM(h.amount), 0)""",
    "hold was not made by one transaction": """
        SELECT h.id FROM hold h LEFT JOIN ledger_txn t ON t.hold_id = h.id AND t.kind = 'hold'
        GROUP BY h.id HAVING COUNT(t.id) <> 1""",
    "hold was not resolved as its state says": """
        SELECT h.id FROM hold h LEFT JOIN ledger_txn t ON t.hold_id = h.id AND t.kind <> 'hold'
        GROUP BY h.id, h.state HAVING COUNT(t.id) <> CASE h.state WHEN 'open' THEN 0 ELSE 1 END
        OR COALESCE(MAX(t.kind), '') <> CASE h.state WHEN 'captured' THEN 'capture' WHEN 'released' THEN 'release'
        ELSE '' END""",
    "hold's entries are not its amounts": """
        SELECT h.id FROM hold h LEFT JOIN ledger_txn t ON t.hold_id = h.id
        LEFT JOIN ledger_entry e ON e.txn_id = t.id LEFT JOIN ledger_account a ON a.id = e.account_id
        GROUP BY h.id, h.state, h.amount, h.captured
        HAVING SUM(CASE WHEN a.kind = 'held' THEN e.amount ELSE 0 END)
        <> CASE h.state WHEN 'open' THEN h.amount ELSE 0 END
        OR SUM(CASE WHEN a.kind = 'spent' THEN e.amount ELSE 0 END) <> h.captured""",
    "job and its hold disagree": """
        SELECT j.id FROM job j JOIN hold h ON h.id = j.hold_id
        WHERE h.state <> CASE j.status WHEN 'completed' THEN 'captured' WHEN 'failed' THEN 'released'
        WHEN 'cancelled' THEN 'released' ELSE 'open' END
        OR h.user_id <> j.user_id OR h.subject <> 'job:' || j.id""",
    "hold of a job that is not there": """
        SELECT h.id FROM hold h LEFT JOIN job j ON j.hold_id = h.id WHERE h.subject LIKE 'job:%' AND j.id IS NULL""",
    "live session and its holds disagree": """
        SELECT s.id FROM live_session s LEFT JOIN (
            SELECT RTRIM(subject, '0123456789') AS session, SUM(captured) AS captured,
            SUM(CASE state WHEN 'open' THEN 1 ELSE 0 END) AS unresolved
            FROM hold WHERE subject LIKE 'session:%' GROUP BY RTRIM(subject, '0123456789')
        ) h ON h.session = 'session:' || s.id || ':'
        WHERE COALESCE(h.unresolved, 0) <> CASE WHEN s.closed_at IS NULL THEN 1 ELSE 0 END
        OR COALESCE(h.captured, 0) <> s.captured OR s.captured > s.charged
        OR (s.closed_at IS NOT NULL AND s.captured <> s.charged)""",
    "live session's hold is not its own": """
        SELECT s.id FROM live_session s JOIN hold h ON h.id = s.hold_id
        WHERE h.user_id <> s.user_id OR (s.closed_at IS NULL AND h.state <> 'open')""",
}


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What is wrong, in words; nothing, as it should be."""

    findings: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


async def audit(connection: AsyncConnection) -> AuditReport:
    """Look for everything that must not be there."""
    findings = []
    for wrong, query in CHECKS.items():
        rows = (await connection.execute(text(query))).fetchmany(_SHOWN + 1)
        findings += [f"{wrong}: {row[0]}" for row in rows[:_SHOWN]]
        if len(rows) > _SHOWN:
            findings.append(f"{wrong}: and more")
    return AuditReport(tuple(findings))

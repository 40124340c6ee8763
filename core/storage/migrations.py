"""The tables of a repository's database, as numbered migration steps.

The code that uses a table says what its columns mean. A step is never changed once released: whatever comes
later is a separate step at the end.
"""

from core.storage.database_file import Migration

_TABLES = """
CREATE TABLE IF NOT EXISTS threads(
    thread_id TEXT PRIMARY KEY, task TEXT NOT NULL, repo TEXT NOT NULL, branch TEXT NOT NULL, status TEXT NOT NULL,
    exit_code INTEGER, options TEXT NOT NULL DEFAULT '{}', created REAL NOT NULL, updated REAL NOT NULL);
CREATE TABLE IF NOT EXISTS leases(
    thread_id TEXT PRIMARY KEY, pid INTEGER NOT NULL, host TEXT NOT NULL, process_started REAL NOT NULL,
    since REAL NOT NULL, heartbeat REAL NOT NULL, generation INTEGER NOT NULL, released INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS inbox(
    id INTEGER PRIMARY KEY AUTOINCREMENT, thread_id TEXT NOT NULL, kind TEXT NOT NULL, author TEXT NOT NULL,
    text TEXT NOT NULL, payload TEXT NOT NULL DEFAULT '{}', created REAL NOT NULL);
CREATE INDEX IF NOT EXISTS inbox_by_thread ON inbox(thread_id, id);
CREATE TABLE IF NOT EXISTS interventions(
    id INTEGER PRIMARY KEY AUTOINCREMENT, thread_id TEXT NOT NULL, created REAL NOT NULL, rule TEXT NOT NULL,
    reason TEXT NOT NULL, action TEXT NOT NULL, text TEXT NOT NULL, applied INTEGER NOT NULL, inbox_id INTEGER,
    step TEXT NOT NULL, work INTEGER NOT NULL, failing INTEGER, cost TEXT NOT NULL, outcome TEXT);
CREATE INDEX IF NOT EXISTS interventions_by_thread ON interventions(thread_id, id);
CREATE TABLE IF NOT EXISTS calls(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    trace_id TEXT NOT NULL, thread TEXT NOT NULL, node TEXT NOT NULL, purpose TEXT NOT NULL, role TEXT NOT NULL,
    spec TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, started REAL NOT NULL,
    input_tokens INTEGER, output_tokens INTEGER, reasoning_tokens INTEGER, counted_tokens INTEGER,
    first_token_s REAL, total_s REAL NOT NULL, retries INTEGER NOT NULL, breaker TEXT NOT NULL,
    outcome TEXT NOT NULL, detail TEXT NOT NULL, cost_usd REAL, estimated_tokens INTEGER, estimated_cost_usd REAL,
    span_id TEXT NOT NULL DEFAULT '', parent_id TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS calls_by_thread ON calls(thread, role);
CREATE INDEX IF NOT EXISTS calls_by_role ON calls(role, spec);
CREATE TABLE IF NOT EXISTS spans(
    span_id TEXT PRIMARY KEY, trace_id TEXT NOT NULL, parent_id TEXT NOT NULL, thread TEXT NOT NULL,
    kind TEXT NOT NULL, name TEXT NOT NULL, began REAL NOT NULL, ended REAL, outcome TEXT NOT NULL,
    attributes TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS spans_by_thread ON spans(thread);
CREATE TABLE IF NOT EXISTS run_spans(
    id INTEGER PRIMARY KEY AUTOINCREMENT, thread_id TEXT NOT NULL, began REAL NOT NULL, ended REAL NOT NULL);
CREATE INDEX IF NOT EXISTS run_spans_by_thread ON run_spans(thread_id);
CREATE TABLE IF NOT EXISTS spec_traits(
    spec TEXT NOT NULL, trait TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(spec, trait));
CREATE TABLE IF NOT EXISTS call_prompts(
    id INTEGER PRIMARY KEY AUTOINCREMENT, made REAL NOT NULL, trace_id TEXT NOT NULL, role TEXT NOT NULL,
    artifact TEXT NOT NULL, messages TEXT NOT NULL, tools TEXT NOT NULL, bytes INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS started_calls(
    thread_id TEXT NOT NULL, call TEXT NOT NULL, tool TEXT NOT NULL, started REAL NOT NULL,
    PRIMARY KEY(thread_id, call));
"""
_WRITES = """
CREATE TABLE IF NOT EXISTS writes(
    thread_id TEXT NOT NULL, checkpoint_ns TEXT NOT NULL DEFAULT '', checkpoint_id TEXT NOT NULL, task_id TEXT NOT NULL,
    task_path TEXT NOT NULL DEFAULT '', idx INTEGER NOT NULL, channel TEXT NOT NULL, type TEXT, value BLOB,
    PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)) WITHOUT ROWID;
"""
"""LangGraph's table without a second copy of its long keys, which are most of its size."""

REPOSITORY = (
    # Files of 0.1.0 carry 0 or 1, hold the tables that were used, and may lack these columns of `calls`.
    Migration(2, _TABLES + _WRITES, {"calls": {
        "estimated_tokens": "INTEGER", "estimated_cost_usd": "REAL",
        "span_id": "TEXT NOT NULL DEFAULT ''", "parent_id": "TEXT NOT NULL DEFAULT ''",
    }}),
)  # fmt: skip

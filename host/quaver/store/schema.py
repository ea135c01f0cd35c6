"""The tables of the store, and how those of an older version become them; what the columns mean stands beside them."""

APPLICATION = 0x51767231  # "Qvr1": says that a SQLite file is one of ours
VERSION = 5

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE node (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,        -- 8 bytes of the chip, or the name's text of a node that seals nothing
    topic TEXT NOT NULL,            -- its topic prefix
    arrivals INTEGER NOT NULL,      -- numbers its records in the order of their coming
    received INTEGER NOT NULL,
    duplicates INTEGER NOT NULL,
    generation INTEGER NOT NULL,    -- of its newest key seen, and the first place it was seen at
    generation_boot INTEGER NOT NULL,
    generation_seq INTEGER NOT NULL,
    last_time_ms INTEGER            -- the latest date that its clock has told
);
CREATE TABLE clock (                -- of one boot
    node INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    offset_ms INTEGER,              -- time - uptime, by the node's clock when it was set last; NULL: never
    not_before_ms INTEGER,          -- time - uptime at least: what an earlier boot was dated; NULL: nothing is known
    PRIMARY KEY (node, boot)
) WITHOUT ROWID;
CREATE TABLE clock_set (            -- the same, each time that it moved; a crystal drifts minutes in a year
    node INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    uptime_ms INTEGER NOT NULL,
    offset_ms INTEGER NOT NULL,
    PRIMARY KEY (node, boot, uptime_ms)
) WITHOUT ROWID;
CREATE TABLE record (
    node INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    class TEXT NOT NULL,
    arrival INTEGER NOT NULL,
    tag BLOB NOT NULL,              -- the seal's own check: equal for a copy, different for another message
    received_ms INTEGER NOT NULL,   -- by this machine's clock as it was then
    uptime_ms INTEGER NOT NULL,
    time_ms INTEGER,                -- by the node's clock; NULL when that was not set, or not to be believed
    claimed_ms INTEGER,             -- what a clock said that was not believed
    body TEXT NOT NULL,             -- the fields, JSON
    span INTEGER NOT NULL DEFAULT 0 -- by which stretch of this machine's clock received_ms is
);
CREATE UNIQUE INDEX record_once ON record (node, boot, seq);
CREATE TABLE explained (            -- what a node says it lost
    node INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,          -- of the run that was dropped; -1: RAM lost its content when the power went,
    until INTEGER NOT NULL,         -- and any from (boot, first) to the begin of boot `until` may have been in it
    PRIMARY KEY (node, boot, first, last, until)
) WITHOUT ROWID;
CREATE TABLE security_event (       -- counted; all but `clock` and `key_expires` are refused messages
    node TEXT NOT NULL,             -- the id that the message bore, in hexadecimal; '' for all that found no room
    reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    detail TEXT NOT NULL,           -- of the last one
    PRIMARY KEY (node, reason)
) WITHOUT ROWID;
"""
_CLOCKS = """
CREATE TABLE span (                 -- a stretch in which nobody set this machine's clock; ingest.timeline keeps it
    number INTEGER PRIMARY KEY,
    host_boot TEXT NOT NULL,        -- of this machine; '' of number 0, in which nobody watched its clock
    offset_ms INTEGER NOT NULL,     -- its date - its uptime
    last_ms INTEGER NOT NULL,       -- the last receipt, by this clock
    shift_ms INTEGER NOT NULL,      -- what its receipts are to be moved by, as is known since
    uncertain_ms INTEGER,           -- how far they may be from the truth then; NULL: nobody knows
    vouched INTEGER NOT NULL        -- whether a time server kept the clock
);
INSERT INTO span VALUES (0, '', 0, 0, 0, 0, 0);
CREATE TABLE receipt (              -- a boot of a node in one span: time - uptime at most, by its receipts
    node INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    span INTEGER NOT NULL,
    offset_ms INTEGER NOT NULL,
    PRIMARY KEY (node, boot, span)
) WITHOUT ROWID;
"""
# Of a record r, the receipt that dates its boot; `node`, `boot` and the bound are put together from it.
BEST_RECEIPT = """FROM receipt e JOIN span p ON p.number = e.span WHERE e.node = r.node AND e.boot = r.boot
            ORDER BY p.uncertain_ms IS NULL, p.uncertain_ms, e.offset_ms + p.shift_ms LIMIT 1"""
# The columns of the view `dated`, and their tables: a reader may ask for others of a record r beside them.
DATED = f"""lower(hex(n.id)) AS node, n.topic, r.boot, r.seq, r.class,
    coalesce(r.time_ms, r.uptime_ms + coalesce(
        (SELECT offset_ms FROM clock_set s WHERE s.node = r.node AND s.boot = r.boot AND s.uptime_ms <= r.uptime_ms
            ORDER BY s.uptime_ms DESC LIMIT 1),
        (SELECT offset_ms FROM clock_set s WHERE s.node = r.node AND s.boot = r.boot ORDER BY s.uptime_ms LIMIT 1),
        (SELECT e.offset_ms + p.shift_ms {BEST_RECEIPT}))) AS time_ms,
    CASE WHEN r.time_ms IS NOT NULL THEN 'node' WHEN c.offset_ms IS NOT NULL THEN 'offset' ELSE 'receipt' END
        AS dated_by,
    CASE WHEN r.time_ms IS NOT NULL OR c.offset_ms IS NOT NULL THEN 0
        ELSE (SELECT max(e.offset_ms + p.shift_ms - c.not_before_ms, 0) + p.uncertain_ms {BEST_RECEIPT}) END
        AS uncertain_ms,
    r.claimed_ms, r.received_ms + h.shift_ms AS received_ms, r.uptime_ms, r.body,
    h.shift_ms AS moved_ms, h.uncertain_ms AS receipt_uncertain_ms
FROM record r JOIN node n ON n.number = r.node JOIN span h ON h.number = r.span
    LEFT JOIN clock c ON c.node = r.node AND c.boot = r.boot"""  # noqa: S608  all of it is ours
_VIEW = f"""
CREATE VIEW dated AS                -- uncertain_ms: NULL where nothing bounds it; moved_ms: of its receipt
SELECT {DATED};
"""
# Records of the class telemetry that hold spectra: one of a hundred, and whoever draws them asks for no other. A node
# is found by what the view calls it.
HAS_SPECTRUM = """class = 'telemetry' AND instr(body, '"spectrum":')"""
_SPECTRA = f"""
CREATE INDEX record_spectrum ON record (node, boot, seq) WHERE {HAS_SPECTRUM};
CREATE INDEX node_hex ON node (lower(hex(id)));
"""
_RETENTION = """
CREATE TABLE removed (              -- records first to last of a boot that a policy has deleted, every one of them
    node INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    kind TEXT NOT NULL,             -- raw, spectra, features
    PRIMARY KEY (node, boot, first)
) WITHOUT ROWID;
CREATE TABLE removal (              -- what one run deleted of a node
    begun_ms INTEGER NOT NULL,      -- when that run began
    kind TEXT NOT NULL,             -- as above, or hourly
    node INTEGER NOT NULL,
    days INTEGER NOT NULL,          -- the policy: what is older goes
    count INTEGER NOT NULL,         -- of records, or of rows of hourly
    first_ms INTEGER NOT NULL,      -- when the first of them was measured, and the last
    last_ms INTEGER NOT NULL,
    PRIMARY KEY (begun_ms, kind, node)
) WITHOUT ROWID;
CREATE TABLE hourly (               -- of the features that were deleted, and of no others
    node INTEGER NOT NULL,
    hour_ms INTEGER NOT NULL,       -- its begin, since 1970
    quantity TEXT NOT NULL,
    count INTEGER NOT NULL,
    low DOUBLE PRECISION NOT NULL,
    mean DOUBLE PRECISION NOT NULL,
    high DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (node, hour_ms, quantity)
) WITHOUT ROWID;
"""
SCHEMA = _TABLES + _CLOCKS + _VIEW + _SPECTRA + _RETENTION
MIGRATIONS = {  # from a version to the next
    1: f"""DROP VIEW dated;
{_CLOCKS}
INSERT INTO receipt SELECT node, boot, 0, receipt_offset_ms FROM clock;
ALTER TABLE clock DROP COLUMN receipt_offset_ms;
ALTER TABLE record ADD COLUMN span INTEGER NOT NULL DEFAULT 0;
{_VIEW}""",  # noqa: S608  and this
    2: _SPECTRA,
    3: _RETENTION,
    4: "ALTER TABLE node DROP COLUMN oldest_boot;",
}

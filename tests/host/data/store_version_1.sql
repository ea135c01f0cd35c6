PRAGMA application_id = 1366716977;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE clock (                -- of one boot
    node INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    offset_ms INTEGER,              -- time - uptime, by the node's clock when it was set last; NULL: never
    receipt_offset_ms INTEGER NOT NULL,  -- the same at most: by when its records came
    not_before_ms INTEGER,          -- the same at least: what an earlier boot was dated; NULL: nothing is known
    PRIMARY KEY (node, boot)
) WITHOUT ROWID;
INSERT INTO "clock" VALUES(1,1,1789996399000,1789996339000,NULL);
INSERT INTO "clock" VALUES(1,2,NULL,1789999399000,1789996400000);
CREATE TABLE clock_set (            -- the same, each time that it moved; a crystal drifts minutes in a year
    node INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    uptime_ms INTEGER NOT NULL,
    offset_ms INTEGER NOT NULL,
    PRIMARY KEY (node, boot, uptime_ms)
) WITHOUT ROWID;
INSERT INTO "clock_set" VALUES(1,1,1000,1789996399000);
CREATE TABLE explained (            -- what a node says it lost
    node INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,          -- of the run that was dropped; -1: RAM lost its content when the power went,
    until INTEGER NOT NULL,         -- and any from (boot, first) to the begin of boot `until` may have been in it
    PRIMARY KEY (node, boot, first, last, until)
) WITHOUT ROWID;
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('client_id','quaver-ingest-0123456789ab');
CREATE TABLE node (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,        -- 8 bytes of the chip, or the name's text of a node that seals nothing
    topic TEXT NOT NULL,            -- its place, up to the class
    arrivals INTEGER NOT NULL,      -- numbers its records in the order of their coming
    received INTEGER NOT NULL,
    duplicates INTEGER NOT NULL,
    oldest_boot INTEGER NOT NULL,   -- what its journal still holds; older boots are refused
    generation INTEGER NOT NULL,    -- of its newest key seen, and the first place it was seen at
    generation_boot INTEGER NOT NULL,
    generation_seq INTEGER NOT NULL,
    last_time_ms INTEGER            -- the latest date that its clock has told
);
INSERT INTO "node" VALUES(1,X'E6614C311B7E6F25','plant/hall/line-2/pump/pump-7',4,4,0,0,1,1,0,1789996400000);
CREATE TABLE record (
    node INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    class TEXT NOT NULL,
    arrival INTEGER NOT NULL,
    tag BLOB NOT NULL,              -- the seal's own check: equal for a copy, different for another message
    received_ms INTEGER NOT NULL,
    uptime_ms INTEGER NOT NULL,
    time_ms INTEGER,                -- by the node's clock; NULL when that was not set, or not to be believed
    claimed_ms INTEGER,             -- what a clock said that was not believed
    body TEXT NOT NULL              -- the fields, JSON
);
INSERT INTO "record" VALUES(1,1,0,'telemetry',1,X'F3DC215661592E9E',1789996400000,1000,1789996400000,NULL,'{"version":2,"uptime_ms":1000,"time_ms":1789996400000,"level":0,"quality":0,"rms_g":0.25,"kurtosis":3.0}');
INSERT INTO "record" VALUES(1,1,1,'telemetry',2,X'D0CF0EC5188C0F6B',1789996400000,61000,NULL,NULL,'{"version":2,"uptime_ms":61000,"level":0,"quality":0,"rms_g":0.25,"kurtosis":3.0}');
INSERT INTO "record" VALUES(1,2,0,'telemetry',3,X'70A8CDDAD294B9F5',1790000000000,1000,NULL,NULL,'{"version":2,"uptime_ms":1000,"level":0,"quality":0,"rms_g":0.25,"kurtosis":3.0}');
INSERT INTO "record" VALUES(1,2,1,'telemetry',4,X'FA83CA9292504CA3',1790000000000,601000,NULL,1000,'{"version":2,"uptime_ms":601000,"time_ms":1000,"level":0,"quality":0,"rms_g":0.25,"kurtosis":3.0}');
CREATE TABLE security_event (       -- counted; all but `clock` are messages that were refused
    node TEXT NOT NULL,             -- the id that the message bore, in hexadecimal; '' for all that found no room
    reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    detail TEXT NOT NULL,           -- of the last one
    PRIMARY KEY (node, reason)
) WITHOUT ROWID;
INSERT INTO "security_event" VALUES('e6614c311b7e6f25','clock',1,1790000000000,1790000000000,'plant/hall/line-2/pump/pump-7: its clock is -20717.6 days off; dated by receipt');
CREATE UNIQUE INDEX record_once ON record (node, boot, seq);
CREATE VIEW dated AS
SELECT lower(hex(n.id)) AS node, n.topic, r.boot, r.seq, r.class,
    coalesce(r.time_ms, r.uptime_ms + coalesce(
        (SELECT offset_ms FROM clock_set s WHERE s.node = r.node AND s.boot = r.boot AND s.uptime_ms <= r.uptime_ms
            ORDER BY s.uptime_ms DESC LIMIT 1),
        (SELECT offset_ms FROM clock_set s WHERE s.node = r.node AND s.boot = r.boot ORDER BY s.uptime_ms LIMIT 1),
        c.receipt_offset_ms)) AS time_ms,
    CASE WHEN r.time_ms IS NOT NULL THEN 'node' WHEN c.offset_ms IS NOT NULL THEN 'offset' ELSE 'receipt' END
        AS dated_by,
    CASE WHEN r.time_ms IS NOT NULL OR c.offset_ms IS NOT NULL THEN 0
        ELSE c.receipt_offset_ms - c.not_before_ms END AS uncertain_ms,
    r.claimed_ms, r.received_ms, r.uptime_ms, r.body
FROM record r JOIN node n ON n.number = r.node LEFT JOIN clock c ON c.node = r.node AND c.boot = r.boot;
COMMIT;

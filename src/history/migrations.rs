//! The format of the history, step by step. A step that was released is never edited: a new one is added.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::HistoryError;

/// Each step brings the format from its place in this list to the next one.
pub(super) const STEPS: &[&str] = &[
    // 1: the beginning. Times are milliseconds since the Unix epoch; plans, outcomes and the like are JSON.
    "CREATE TABLE inbox (
        update_id INTEGER PRIMARY KEY,
        body TEXT NOT NULL,
        kept INTEGER NOT NULL,
        begun INTEGER NOT NULL DEFAULT 0,
        done INTEGER
     ) STRICT;
     CREATE INDEX inbox_by_done ON inbox (done);

     CREATE TABLE operations (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        mark TEXT NOT NULL UNIQUE,
        project TEXT NOT NULL,
        actor TEXT NOT NULL,
        origin TEXT,
        plan TEXT NOT NULL,
        started INTEGER NOT NULL,
        ended INTEGER,
        outcome TEXT,
        CHECK ((ended IS NULL) = (outcome IS NULL))
     ) STRICT;
     CREATE INDEX operations_by_project ON operations (project, id);
     CREATE INDEX operations_by_end ON operations (ended);

     CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        operation INTEGER NOT NULL REFERENCES operations (id) ON DELETE CASCADE,
        at INTEGER NOT NULL,
        event TEXT NOT NULL
     ) STRICT;
     CREATE INDEX events_by_operation ON events (operation, id);

     CREATE TABLE notices (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        origin TEXT NOT NULL,
        notice TEXT NOT NULL,
        since INTEGER NOT NULL,
        settled INTEGER,
        why_not TEXT
     ) STRICT;
     CREATE INDEX notices_by_settled ON notices (settled, id);

     -- No reference to operations: a release outlives the record of the operation that made it.
     CREATE TABLE releases (
        project TEXT NOT NULL,
        number INTEGER NOT NULL,
        operation INTEGER NOT NULL,
        at INTEGER NOT NULL,
        manifest TEXT,
        compose TEXT,
        PRIMARY KEY (project, number)
     ) STRICT, WITHOUT ROWID;

     CREATE TABLE builds (
        project TEXT NOT NULL,
        image_id TEXT NOT NULL,
        inputs TEXT NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (project, image_id)
     ) STRICT, WITHOUT ROWID;",
    // 2: releases that can be gone back to.
    "ALTER TABLE releases ADD COLUMN kind TEXT NOT NULL DEFAULT '\"deploy\"';
     ALTER TABLE releases ADD COLUMN owned TEXT;
     ALTER TABLE releases ADD COLUMN images TEXT NOT NULL DEFAULT '{}';
     ALTER TABLE releases ADD COLUMN environment TEXT;
     ALTER TABLE releases ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;

     -- What production holds.
     CREATE TABLE current (
        project TEXT PRIMARY KEY,
        release INTEGER NOT NULL
     ) STRICT, WITHOUT ROWID;
     INSERT INTO current SELECT project, MAX(number) FROM releases WHERE manifest NOT NULL GROUP BY project;

     -- A release on its way into production, and where production goes back to if it does not arrive. Settled once
     -- production is known to hold one of the two.
     CREATE TABLE moves (
        operation INTEGER PRIMARY KEY,
        project TEXT NOT NULL,
        target INTEGER NOT NULL,
        base INTEGER NOT NULL,
        settled INTEGER
     ) STRICT;
     -- A name for this data directory: two dockmasters on one engine must not take each other's images.
     CREATE TABLE instance (name TEXT NOT NULL) STRICT;
     INSERT INTO instance VALUES (lower(hex(randomblob(4))));

     CREATE INDEX moves_by_project ON moves (project, settled);",
    // 3: versions of the configuration, and which of them is in force.
    "CREATE TABLE snapshots (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        cause TEXT NOT NULL,
        impact TEXT NOT NULL,
        hash TEXT NOT NULL,
        files TEXT NOT NULL
     ) STRICT;
     -- One row at most.
     CREATE TABLE in_force (
        snapshot INTEGER NOT NULL,
        pinned_over TEXT,
        -- Whether it is being written into the files: whoever finds it so goes on.
        writing INTEGER NOT NULL DEFAULT 0,
        -- What was rejected and told last, so that no start tells it again.
        told TEXT
     ) STRICT;",
    // 4: file systems that were said to have little room, by the numbers of their devices.
    "CREATE TABLE low_space (
        device TEXT PRIMARY KEY,
        since INTEGER NOT NULL
     ) STRICT, WITHOUT ROWID;",
    // 5: containers that were said to be left over, by project: their ids as JSON.
    "CREATE TABLE left_over (
        project TEXT PRIMARY KEY,
        containers TEXT NOT NULL
     ) STRICT, WITHOUT ROWID;",
    // 6: what was measured of services, by the names of their containers.
    "CREATE TABLE measures (
        project TEXT NOT NULL,
        container TEXT NOT NULL,
        service TEXT NOT NULL,
        since INTEGER NOT NULL,
        seen INTEGER NOT NULL,
        -- The container as it was seen last: its id, its start, and how often the engine had started it again.
        id TEXT NOT NULL,
        started INTEGER NOT NULL,
        counted INTEGER NOT NULL,
        restarts INTEGER NOT NULL,
        checks INTEGER NOT NULL,
        checks_took INTEGER NOT NULL,
        checks_failed INTEGER NOT NULL,
        check_at INTEGER,
        check_took INTEGER,
        check_good INTEGER,
        PRIMARY KEY (project, container)
     ) STRICT, WITHOUT ROWID;
     CREATE INDEX measures_by_seen ON measures (seen);
     -- No reference to operations: what was measured outlives their records.
     CREATE TABLE start_ups (
        project TEXT NOT NULL,
        container TEXT NOT NULL,
        at INTEGER NOT NULL,
        took INTEGER NOT NULL,
        operation INTEGER,
        PRIMARY KEY (project, container, at),
        FOREIGN KEY (project, container) REFERENCES measures (project, container) ON DELETE CASCADE
     ) STRICT, WITHOUT ROWID;",
    // Who stopped what, the logs of what failed, since when a release is the current one, and whether it ever was.
    "-- By the ids of containers; without an actor it was by hand.
     CREATE TABLE stops (
        container TEXT PRIMARY KEY,
        at INTEGER NOT NULL,
        actor TEXT
     ) STRICT, WITHOUT ROWID;
     CREATE INDEX stops_by_time ON stops (at);
     CREATE TABLE operation_logs (
        operation INTEGER NOT NULL REFERENCES operations (id) ON DELETE CASCADE,
        service TEXT NOT NULL,
        lines TEXT NOT NULL,
        PRIMARY KEY (operation, service)
     ) STRICT, WITHOUT ROWID;
     -- None for what became current before this was kept.
     ALTER TABLE current ADD COLUMN since INTEGER;
     -- When production first held it as a whole; none for a release that never ran.
     ALTER TABLE releases ADD COLUMN arrived INTEGER;
     UPDATE releases SET arrived = at WHERE NOT EXISTS (
        SELECT 1 FROM moves WHERE moves.project = releases.project AND target = number AND settled IS NULL
     );",
    // Null where it was not recorded: nothing was deployed then that used a variable which nothing set.
    "ALTER TABLE releases ADD COLUMN unset TEXT;",
    // What the tree of a release holds, where that is more than came into production.
    "ALTER TABLE releases ADD COLUMN staged TEXT;",
    // What configs and secrets containers were brought up with: hashes by a key that is kept elsewhere.
    "CREATE TABLE contents (
        project TEXT NOT NULL,
        container TEXT NOT NULL,
        record TEXT NOT NULL,
        PRIMARY KEY (project, container)
     ) STRICT, WITHOUT ROWID;",
];

/// Brings a database up to the format that is known here.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), HistoryError> {
    loop {
        // Read again within each transaction: another dockmaster may be at the same.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let known = STEPS.len();
        let Some(step) = STEPS.get(found as usize) else {
            let path = path.to_owned();
            return if found as usize == known { Ok(()) } else { Err(HistoryError::Newer { path, found, known }) };
        };
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", found + 1)?;
        transaction.commit()?;
    }
}

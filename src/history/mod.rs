//! What must outlive the program: SQLite in the data directory.

pub mod inbox;
pub mod notices;
pub mod operations;

use std::sync::{Arc, Mutex};

/// A handle on the history; clones share one connection.
#[derive(Debug, Clone)]
pub struct History {
    #[expect(dead_code, reason = "stub")]
    connection: Arc<Mutex<rusqlite::Connection>>,
}

/// What went wrong with the history.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// SQLite said no.
    #[error("the history could not be read or written: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A row that was kept cannot be understood.
    #[error("a kept record cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// The worker that asked SQLite died.
    #[error("the history's worker died: {0}")]
    Worker(#[from] tokio::task::JoinError),
}

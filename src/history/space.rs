//! Which file systems were said to have little room: told once, also where dockmaster is started again.

use std::collections::BTreeSet;

use super::notices::post;
use super::{History, HistoryError, to_json};
use crate::domain::Millis;
use crate::domain::access::ChatId;
use crate::domain::notice::{Notice, Origin};

impl History {
    /// The numbers of the devices that were said to have little room.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn space_said(&self) -> Result<BTreeSet<u64>, HistoryError> {
        self.with(|db| {
            let mut query = db.prepare_cached("SELECT device FROM low_space")?;
            let devices = query.query_map([], |row| row.get::<_, String>(0))?;
            // A number takes all of its 64 bits, and SQLite has one less.
            Ok(devices.collect::<Result<Vec<_>, _>>()?.iter().filter_map(|device| device.parse().ok()).collect())
        })
        .await
    }

    /// Notes that a device has little room, and keeps a notice for each chat; nothing where that was said already.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn space_low(&self, device: u64, chats: BTreeSet<ChatId>, notice: Notice, now: Millis) -> Result<(), HistoryError> {
        self.with(move |db| {
            let noted =
                db.prepare_cached("INSERT OR IGNORE INTO low_space (device, since) VALUES (?1, ?2)")?.execute((device.to_string(), now))?;
            for chat in chats.into_iter().filter(|_| noted > 0) {
                post(db, &to_json(&Origin { chat, thread: None, message: None })?, &notice, now)?;
            }
            Ok(())
        })
        .await
    }

    /// Notes that a device has room again.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn space_well(&self, device: u64) -> Result<(), HistoryError> {
        self.with(move |db| {
            db.prepare_cached("DELETE FROM low_space WHERE device = ?1")?.execute([device.to_string()])?;
            Ok(())
        })
        .await
    }
}

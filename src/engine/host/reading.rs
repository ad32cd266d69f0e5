//! Reading a log, and going on with it until nobody writes it any more.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::sleep;

use super::super::loglines::RawLine;
use super::asking::status;
use super::place::Place;
use super::spec::ProcessKey;
use super::tail::Tail;

/// How often it is looked for more of a log that is followed.
const FOLLOW: Duration = Duration::from_millis(200);

/// A log that is being read.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) key: ProcessKey,
    pub(super) path: PathBuf,
    pub(super) lines: usize,
    pub(super) since: Option<i64>,
    pub(super) follow: bool,
    pub(super) tail: Option<Tail>,
}

impl Reading {
    /// The next lines, waiting for them where it is followed; none at the end.
    pub(super) async fn next(&mut self) -> std::io::Result<Option<Vec<RawLine>>> {
        let Some(tail) = self.tail.take() else {
            let (path, lines, since) = (self.path.clone(), self.lines, self.since);
            let (read, tail) = blocking(move || Tail::last(&path, lines, since)).await?;
            self.tail = Some(tail);
            return Ok(Some(read));
        };
        if !self.follow {
            return Ok(None);
        }
        let mut tail = tail;
        loop {
            // Asked first: what is written until it ends is read after that.
            let kept = self.is_kept().await;
            let (read, back) = blocking(move || tail.more().map(|read| (read, tail))).await?;
            tail = back;
            if !read.is_empty() {
                self.tail = Some(tail);
                return Ok(Some(read));
            }
            if !kept {
                return Ok(None);
            }
            sleep(FOLLOW).await;
        }
    }

    async fn is_kept(&self) -> bool {
        let Ok(place) = Place::open(&self.path) else { return false };
        !matches!(status(&place, &self.key).await, Ok(None))
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|died| Err(std::io::Error::other(died.to_string())))
}

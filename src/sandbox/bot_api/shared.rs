//! The world behind its lock, and waiting for it to change.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::world::World;

/// What the server, the handles and the pages share.
pub(in crate::sandbox) struct Shared {
    world: Mutex<World>,
    /// Counts changes, for whoever waits for one.
    changed: watch::Sender<u64>,
    token: Mutex<String>,
    /// The token of another bot, of which only its name can be asked.
    other: Mutex<Option<String>>,
    pub(in crate::sandbox) address: SocketAddr,
    /// Cancelled when the server ends.
    pub(in crate::sandbox) closing: CancellationToken,
    /// Chat pages: whose they are, by the secret part of their address.
    pub(in crate::sandbox) pages: Mutex<BTreeMap<String, i64>>,
}

impl Shared {
    pub(super) fn new(world: World, token: &str, address: SocketAddr) -> Self {
        Self {
            world: Mutex::new(world),
            changed: watch::Sender::new(0),
            token: Mutex::new(token.to_owned()),
            other: Mutex::default(),
            address,
            closing: CancellationToken::new(),
            pages: Mutex::new(BTreeMap::new()),
        }
    }

    /// Whether this is the token that counts.
    pub(super) fn accepts(&self, token: &str) -> bool {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) == token
    }

    /// Whether this is another bot's token.
    pub(super) fn is_anothers(&self, token: &str) -> bool {
        self.other.lock().unwrap_or_else(PoisonError::into_inner).as_deref() == Some(token)
    }

    /// There is another bot, with this token.
    pub(super) fn add_other(&self, token: &str) {
        *self.other.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.to_owned());
    }

    /// Only this token counts from now on.
    pub(super) fn renew(&self, token: &str) {
        token.clone_into(&mut self.token.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Looks at the world.
    pub(in crate::sandbox) fn read<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&lock(&self.world))
    }

    /// Changes the world and wakes whoever waits for that.
    pub(in crate::sandbox) fn change<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let result = act(&mut lock(&self.world));
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
        result
    }

    /// Waits until a look at the world finds something; none once the time is over.
    pub(in crate::sandbox) async fn wait<T>(&self, timeout: Duration, mut look: impl FnMut(&mut World) -> Option<T>) -> Option<T> {
        // Subscribed before the first look: a change in between is seen as one.
        let mut changes = self.changed.subscribe();
        let found = async {
            loop {
                let found = look(&mut lock(&self.world));
                if found.is_some() || changes.changed().await.is_err() {
                    return found;
                }
            }
        };
        tokio::time::timeout(timeout, found).await.ok().flatten()
    }
}

/// Locks, also where a panicking test left the lock behind: what is inside is still whole enough to be read.
pub(in crate::sandbox) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

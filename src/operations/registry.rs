//! Which project is held by which operation. Production itself is locked, too: another dockmaster, with another data
//! directory, may know the same one.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use crate::domain::project::ProjectName;
use crate::domain::status::Busy;
use crate::domain::untrusted::UntrustedText;

/// How often it is looked whether nothing is held any more.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The projects that are held. Clones share one registry.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    held: Arc<DashMap<ProjectName, Held>>,
    /// Since when, and by whom, nothing more may be held.
    closed: Arc<Mutex<Option<Busy>>>,
}

/// Nothing more can be held until this is dropped.
#[derive(Debug)]
pub(super) struct Closed(Registry);

impl Drop for Closed {
    fn drop(&mut self) {
        *locked(&self.0.closed) = None;
    }
}

fn locked(closed: &Mutex<Option<Busy>>) -> MutexGuard<'_, Option<Busy>> {
    // Whoever panicked has closed it, or has not.
    closed.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who holds a project, and what ends that.
#[derive(Debug)]
struct Held {
    busy: Busy,
    ending: CancellationToken,
    /// Who cancelled it, once somebody has.
    cancelled_by: Option<UntrustedText>,
}

impl Registry {
    /// Takes a project and its production, or says who has it. `ending` is what [`Registry::end`] cancels.
    pub(super) fn hold(
        &self,
        project: &ProjectName,
        production: Option<&Path>,
        busy: Busy,
        ending: CancellationToken,
    ) -> Result<Hold, Busy> {
        // Held until it is among the others: whoever closes sees it there.
        let closed = locked(&self.closed);
        if let Some(busy) = &*closed {
            return Err(busy.clone());
        }
        match self.held.entry(project.clone()) {
            Entry::Occupied(held) => Err(held.get().busy.clone()),
            Entry::Vacant(free) => {
                let production = production.map_or(Ok(None), lock).map_err(|()| Busy {
                    what: "an operation".to_owned(),
                    who: "another dockmaster".into(),
                    since: busy.since,
                })?;
                free.insert(Held { busy, ending, cancelled_by: None });
                Ok(Hold { registry: self.clone(), project: project.clone(), _production: production })
            }
        }
    }

    /// Lets nothing more be held: `busy` says why.
    pub(super) fn close(&self, busy: Busy) -> Closed {
        *locked(&self.closed) = Some(busy);
        Closed(self.clone())
    }

    /// Waits until nothing is held.
    pub(super) async fn is_free(&self) {
        while !self.held.is_empty() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Another project that is held, where one is.
    pub(super) fn other_than(&self, project: &ProjectName) -> Option<(ProjectName, Busy)> {
        self.held.iter().find(|held| held.key() != project).map(|held| (held.key().clone(), held.busy.clone()))
    }

    /// A project that is held, where one is.
    pub(super) fn held(&self) -> Option<(ProjectName, Busy)> {
        self.held.iter().next().map(|held| (held.key().clone(), held.busy.clone()))
    }

    /// Whether anything is held.
    pub(super) fn is_held(&self) -> bool {
        !self.held.is_empty()
    }

    /// Who has a project.
    pub(super) fn holder(&self, project: &ProjectName) -> Option<Busy> {
        self.held.get(project).map(|held| held.busy.clone())
    }

    /// Cancels what holds a project, for whoever asks; none where nothing does.
    pub(super) fn end(&self, project: &ProjectName, by: UntrustedText) -> Option<Busy> {
        let mut held = self.held.get_mut(project)?;
        held.cancelled_by.get_or_insert(by);
        held.ending.cancel();
        Some(held.busy.clone())
    }

    /// That what holds a project was cancelled, as the beginning of a sentence: by whom, where that is known.
    pub(super) fn cancelled(&self, project: &ProjectName) -> String {
        let by = self.held.get(project).and_then(|held| held.cancelled_by.clone());
        by.map_or_else(|| "It was cancelled".to_owned(), |by| format!("{by} cancelled it"))
    }
}

/// Locks a directory; fails where somebody else has it. None where it is not there, or cannot be locked on its file system:
/// then there is no more than our own word.
fn lock(directory: &Path) -> Result<Option<File>, ()> {
    // Nothing else is waited for that may be there instead.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(opened) = rustix::fs::open(directory, flags, Mode::empty()) else { return Ok(None) };
    let opened = File::from(opened);
    match flock(&opened, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(opened)),
        Err(Errno::WOULDBLOCK) => Err(()),
        Err(error) => {
            tracing::warn!(%error, directory = %directory.display(), "cannot be locked against another dockmaster");
            Ok(None)
        }
    }
}

/// A project that is held; dropping it lets go, whatever happened, a panic too.
#[derive(Debug)]
pub(super) struct Hold {
    registry: Registry,
    project: ProjectName,
    /// Open, which is what locks it.
    _production: Option<File>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.registry.held.remove(&self.project);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_held_once_and_let_go_by_dropping() {
        let registry = Registry::default();
        let busy = |who: &str| Busy { what: "deploy".into(), who: who.into(), since: 5 };
        let (shop, edge) = (ProjectName::new("shop").unwrap(), ProjectName::new("edge").unwrap());
        let ending = CancellationToken::new();
        let hold = registry.hold(&shop, None, busy("Ann"), ending.clone()).unwrap();
        assert_eq!(registry.hold(&shop, None, busy("Bob"), CancellationToken::new()).unwrap_err().who.raw(), "Ann");
        assert!(registry.hold(&edge, None, busy("Bob"), CancellationToken::new()).is_ok(), "another project is free");
        assert!(
            !ending.is_cancelled() && registry.end(&shop, "Olaf".into()).is_some_and(|b| b.who.raw() == "Ann") && ending.is_cancelled()
        );
        assert_eq!(registry.cancelled(&shop), "`Olaf` cancelled it");
        drop(hold);
        let closed = registry.close(busy("Cat"));
        assert_eq!(registry.hold(&shop, None, busy("Bob"), CancellationToken::new()).unwrap_err().who.raw(), "Cat");
        drop(closed);
        assert!(registry.holder(&shop).is_none() && registry.end(&shop, "Olaf".into()).is_none());
        assert!(registry.hold(&shop, None, busy("Bob"), CancellationToken::new()).is_ok());
    }

    #[tokio::test]
    async fn two_dockmasters_do_not_work_in_one_production() {
        let (one, other) = (Registry::default(), Registry::default());
        let busy = Busy { what: "deploy".into(), who: "Ann".into(), since: 5 };
        let production = tempfile::tempdir().unwrap();
        let hold = |registry: &Registry, name| {
            registry.hold(&ProjectName::new(name).unwrap(), Some(production.path()), busy.clone(), CancellationToken::new())
        };
        let held = hold(&one, "shop").unwrap();
        assert_eq!(hold(&other, "called-otherwise").unwrap_err().who.raw(), "another dockmaster");
        assert!(one.is_held() && !other.is_held(), "what was refused is not held");
        drop(held);
        one.is_free().await;
        assert!(hold(&other, "called-otherwise").is_ok());
        std::fs::remove_dir(production.path()).unwrap();
        assert!(hold(&one, "shop").is_ok(), "what is not there cannot be in anybody's way");
    }
}

//! Which project is held by which operation.

use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use tokio_util::sync::CancellationToken;

use crate::domain::project::ProjectName;
use crate::domain::status::Busy;

/// The projects that are held. Clones share one registry.
#[derive(Debug, Clone, Default)]
pub(super) struct Registry(Arc<DashMap<ProjectName, Held>>);

/// Who holds a project, and what ends that.
#[derive(Debug)]
struct Held {
    busy: Busy,
    ending: CancellationToken,
}

impl Registry {
    /// Takes a project, or says who has it. `ending` is what [`Registry::end`] cancels.
    pub(super) fn hold(&self, project: &ProjectName, busy: Busy, ending: CancellationToken) -> Result<Hold, Busy> {
        match self.0.entry(project.clone()) {
            Entry::Occupied(held) => Err(held.get().busy.clone()),
            Entry::Vacant(free) => {
                free.insert(Held { busy, ending });
                Ok(Hold { registry: self.clone(), project: project.clone() })
            }
        }
    }

    /// Who has a project.
    pub(super) fn holder(&self, project: &ProjectName) -> Option<Busy> {
        self.0.get(project).map(|held| held.busy.clone())
    }

    /// Cancels what holds a project; none where nothing does.
    pub(super) fn end(&self, project: &ProjectName) -> Option<Busy> {
        let held = self.0.get(project)?;
        held.ending.cancel();
        Some(held.busy.clone())
    }
}

/// A project that is held; dropping it lets go, whatever happened, a panic too.
#[derive(Debug)]
pub(super) struct Hold {
    registry: Registry,
    project: ProjectName,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.registry.0.remove(&self.project);
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
        let hold = registry.hold(&shop, busy("Ann"), ending.clone()).unwrap();
        assert_eq!(registry.hold(&shop, busy("Bob"), CancellationToken::new()).unwrap_err().who, "Ann");
        assert!(registry.hold(&edge, busy("Bob"), CancellationToken::new()).is_ok(), "another project is free");
        assert!(!ending.is_cancelled() && registry.end(&shop).is_some_and(|b| b.who == "Ann") && ending.is_cancelled());
        drop(hold);
        assert!(registry.holder(&shop).is_none() && registry.end(&shop).is_none());
        assert!(registry.hold(&shop, busy("Bob"), CancellationToken::new()).is_ok());
    }
}

//! Where the paths of the host are for us: in a container, only what is mounted there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::tools::Tools;
use crate::engine::own::{self, Mount};

/// Where they are.
#[derive(Debug, Clone)]
pub(super) enum Here {
    /// Where they are there.
    Same,
    /// Where they are mounted, if they are.
    Mounted(Arc<[Mount]>),
    /// It could not be found out.
    Unclear,
}

impl Here {
    pub(super) async fn of(tools: &Tools) -> Self {
        let Some(own) = &tools.own else { return Self::Same };
        match tools.docker.mounts(&own.container).await {
            Ok(Some(mounts)) => Self::Mounted(mounts.into()),
            // A container that holds the engine, too.
            Ok(None) => Self::Same,
            Err(_) => Self::Unclear,
        }
    }

    /// A path of the host, as we have it; none where it is not to be seen from here.
    pub(super) fn path(&self, host: &Path) -> Option<PathBuf> {
        match self {
            Self::Same => Some(host.to_owned()),
            Self::Mounted(mounts) => own::in_here(mounts, host),
            Self::Unclear => None,
        }
    }
}

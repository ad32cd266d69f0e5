//! What services mount of the host: what is missing there, and what a running container has mounted otherwise.

use std::path::{Path, PathBuf};

use super::gather::Trees;
use super::trees::tree_path;
use super::writable::{Ground, at};
use crate::domain::container::Container;
use crate::domain::failure::Failure;
use crate::domain::manifest::{Node, TreePath};
use crate::domain::plan::MissingSource;
use crate::domain::project::{ServiceName, Source};
use crate::domain::untrusted::UntrustedText;
use crate::domain::volumes::StoreKind;
use crate::engine::compose::Bind;
use crate::untrusted;

/// What was found out about the bind mounts of services.
#[derive(Default)]
pub(super) struct BindSources {
    /// What is mounted and not there.
    pub(super) missing: Vec<MissingSource>,
    /// Why services are recreated though Compose sees no reason to.
    unseen: Vec<(ServiceName, String)>,
}

impl BindSources {
    /// Looks at the sources of all bind mounts as they will be once the files are in production.
    pub(super) async fn of(ground: &Ground<'_>, trees: &Trees, containers: &[Container]) -> Result<Self, Failure> {
        if !matches!(ground.project.source, Source::Compose(_)) {
            return Ok(Self::default());
        }
        let definitions = ground.declared.definitions.iter().filter(|(name, _)| ground.ours != Some(name));
        let binds: Vec<(ServiceName, Bind)> =
            definitions.flat_map(|(name, definition)| definition.binds.iter().map(|bind| (name.clone(), bind.clone()))).collect();
        let mut looked: Vec<Look> = Vec::new();
        for (service, bind) in binds {
            let below = bind.source.strip_prefix(ground.production).ok().map(tree_path);
            let coming = below.as_ref().and_then(|path| kind_in(trees, path));
            let attached = mounted_otherwise(&bind, &service, containers);
            looked.push(Look { service, bind, below, coming, attached });
        }
        let source = ground.source.to_owned();
        let look = move || looked.into_iter().map(|look| look.at(&source)).collect::<Vec<_>>();
        let looked = untrusted::off_runtime(look).await.map_err(|error| {
            Failure::new(ground.what, format!("Its files cannot be read: {}.", error.reason()), "Check its disks and ask again.")
        })?;
        // What lies outside production may lie outside the container that we run in.
        let (sees_host, mut found) = (ground.tools.own.is_none(), Self::default());
        for Looked { look: Look { service, bind, below, coming, attached }, now, excluded } in looked {
            if attached.is_some() {
                let (source, target) = (UntrustedText::path(&bind.source), UntrustedText::path(&bind.target));
                found.unseen.push((service.clone(), format!("mounts {source} at {target} now")));
            }
            let shown = below.as_ref().map_or_else(|| bind.source.display().to_string(), |path| format!("./{}", path.written()));
            match (coming, now) {
                (Some(is_directory), Some(was_directory)) if is_directory != was_directory => {
                    let kind = if is_directory { "a directory" } else { "a file" };
                    found.unseen.push((service, format!("{} is {kind} now", UntrustedText::from(&shown))));
                }
                (None, None) if below.is_some() || sees_host => {
                    // What a service may write to has its own rules.
                    if excluded && bind.writable {
                        continue;
                    }
                    found.missing.push(MissingSource {
                        service,
                        path: shown,
                        target: bind.target.display().to_string(),
                        read_only: !bind.writable,
                        is_made: bind.is_made,
                        excluded,
                        in_production: below.is_some(),
                    });
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// Why a service is recreated though Compose sees no reason to.
    pub(super) fn unseen(&self, service: &ServiceName) -> impl Iterator<Item = String> {
        let own = self.unseen.iter().filter(move |(name, _)| name == service);
        own.map(|(_, reason)| reason.clone()).collect::<Vec<_>>().into_iter()
    }
}

/// Whether what comes has a directory at a path, or something else; none where it has nothing.
fn kind_in(trees: &Trees, path: &TreePath) -> Option<bool> {
    let entry = trees.coming.0.get(path);
    let is_above = || {
        trees
            .coming
            .0
            .range(path.clone()..)
            .take_while(|(other, _)| other.bytes().starts_with(path.bytes()))
            .any(|(other, _)| other != path && other.is_within(path))
    };
    match entry {
        Some(entry) if matches!(entry.node, Node::Link(_)) => None,
        Some(entry) => Some(entry.is_directory()),
        None => is_above().then_some(true),
    }
}

/// What a container has mounted where a file of a config or a secret is to be, which Compose's hash does not tell.
fn mounted_otherwise(bind: &Bind, service: &ServiceName, containers: &[Container]) -> Option<PathBuf> {
    let attached = containers.iter().filter(|c| !bind.is_made && c.service == *service).flat_map(|c| &c.attached);
    attached.filter(|a| a.kind == StoreKind::Bind && a.at == bind.target).find_map(|a| a.source.clone()).filter(|a| *a != bind.source)
}

/// A bind mount, before the disk was looked at.
struct Look {
    service: ServiceName,
    bind: Bind,
    /// Its source below production.
    below: Option<TreePath>,
    /// Whether a directory comes there; none where nothing comes.
    coming: Option<bool>,
    /// Another source that a container has mounted in its place.
    attached: Option<PathBuf>,
}

struct Looked {
    look: Look,
    /// Whether there is a directory now; none where there is nothing.
    now: Option<bool>,
    /// Whether the workspace has something there.
    excluded: bool,
}

impl Look {
    fn at(mut self, workspace: &Path) -> Looked {
        let now = std::fs::metadata(&self.bind.source).ok().map(|seen| seen.is_dir());
        let excluded = self.below.as_ref().is_some_and(|path| at(workspace, path).symlink_metadata().is_ok());
        // By whichever way it is named.
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        self.attached = self.attached.filter(|attached| real(attached) != real(&self.bind.source));
        Looked { look: self, now, excluded }
    }
}

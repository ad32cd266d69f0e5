//! The paths below production that services may write to, and what of the workspace a deploy copies there.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::super::sources;
use super::super::tools::Tools;
use super::declared::Declared;
use super::trees::tree_path;
use crate::domain::failure::Failure;
use crate::domain::manifest::{Entry, Manifest, TreePath};
use crate::domain::plan::{PreserveFacts, Preserved, WrittenMount};
use crate::domain::project::{Project, ServiceName};
use crate::engine::compose::{BuildSection, Definition};
use crate::files::build_ignore::BuildIgnore;
use crate::files::rules::{Below, Context, CopyPatterns, Mounts, Rules};
use crate::files::tracked::tracked;
use crate::history::releases::{Current, ReleaseRecord};
use crate::untrusted::{self, CONFIGURATION_MAX, ReadError};

/// Files that are there so that git keeps a directory: no configuration, and in the way of a database that wants it empty.
const PLACEHOLDERS: [&str; 4] = [".gitkeep", ".keep", ".gitignore", ".placeholder"];
/// How many files are named that are not copied.
const LEFT_MAX: usize = 5;
/// How many entries of a directory are looked at for that.
const LOOKED_MAX: usize = 20_000;

/// What services mount of production, and what that means for the files of a deploy.
pub(super) struct Mounted {
    /// What counts in the workspace: what is copied, and what images are built from.
    pub(super) workspace: Rules,
    /// What counts in production: what is copied, and what earlier releases brought.
    pub(super) production: Rules,
    /// What is copied.
    copied: Rules,
    mounts: Mounts,
    written: Vec<Written>,
    /// The files that services mount as such.
    files: BTreeSet<TreePath>,
    /// The files that the configuration is made of: they are copied wherever they are, and no service finds them by that.
    parts: BTreeSet<TreePath>,
}

struct Written {
    path: TreePath,
    by: ServiceName,
    declared: bool,
}

/// What finding that out takes.
pub(super) struct Ground<'a> {
    pub(super) tools: &'a Tools,
    pub(super) project: &'a Project,
    /// Where the files come from.
    pub(super) source: &'a Path,
    /// As projects.json names it, and Compose with it.
    pub(super) production: &'a Path,
    pub(super) declared: &'a Declared,
    /// The service that dockmaster itself is.
    pub(super) ours: Option<&'a ServiceName>,
    pub(super) current: Option<&'a Current>,
    /// The release that comes, where it is an earlier one.
    pub(super) old: Option<&'a ReleaseRecord>,
    /// What the project excludes.
    pub(super) rules: &'a Rules,
    pub(super) what: &'a str,
}

/// The sources of writable bind mounts below production, and who mounts them. `ours` is the service that dockmaster itself
/// is: it has all of production to write to, and does so in a deploy alone.
pub(super) fn written<'a>(
    production: &Path,
    ours: Option<&ServiceName>,
    services: impl Iterator<Item = (&'a ServiceName, &'a Definition)>,
) -> Vec<(TreePath, ServiceName)> {
    // It may be named by a link, and a mount by another way.
    let production = production.canonicalize().unwrap_or_else(|_| production.to_owned());
    let mut all: Vec<(TreePath, ServiceName)> = services
        .flat_map(|(name, definition)| definition.binds.iter().filter(|b| b.writable).map(move |b| (name, b)))
        .filter_map(|(name, bind)| {
            let source = bind.source.canonicalize().unwrap_or_else(|_| bind.source.clone());
            // A mount of a directory above production is one of all of production.
            let below = if production.starts_with(&source) {
                if ours == Some(name) {
                    return None;
                }
                Path::new("")
            } else {
                source.strip_prefix(&production).ok()?
            };
            Some((tree_path(below), name.clone()))
        })
        .collect();
    all.sort();
    all.dedup();
    all
}

/// The sources of read-only bind mounts below production.
fn read_only(production: &Path, declared: &Declared) -> BTreeSet<TreePath> {
    let binds = declared.definitions.values().flat_map(|definition| &definition.binds).filter(|bind| !bind.writable);
    binds.filter_map(|bind| bind.source.strip_prefix(production).ok()).map(tree_path).collect()
}

/// Where a path of the resolved configuration lies below production.
pub(super) fn below_production(path: &Path, production: &Path) -> Option<TreePath> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain.strip_prefix(production).ok().map(tree_path)
}

/// The file that says what a build does not see of its context: a Dockerfile may have one of its own, which counts instead of the
/// one of the context. None where there is none.
fn ignore_file(section: &BuildSection, production: &Path, source: &Path) -> Option<TreePath> {
    let context = Path::new(&section.context);
    let own = section.dockerfile.iter().map(|file| {
        let mut file = context.join(file);
        file.as_mut_os_string().push(".dockerignore");
        file
    });
    let files = own.chain([context.join(".dockerignore")]).filter_map(|file| below_production(&file, production));
    files.into_iter().find(|file| at(source, file).is_file())
}

/// What a build does not see of its context. `source` is where its files come from.
pub(super) fn build_ignore(section: &BuildSection, production: &Path, source: &Path) -> BuildIgnore {
    let file = ignore_file(section, production, source);
    let text = file.and_then(|file| untrusted::read_text(&at(source, &file), CONFIGURATION_MAX).ok());
    text.map(|text| BuildIgnore::parse(&text)).unwrap_or_default()
}

/// The paths that an image is built from, as far as they lie below production.
fn contexts(section: &BuildSection, production: &Path, source: &Path) -> Vec<Context> {
    let context = Path::new(&section.context);
    let dockerfiles = section.dockerfile.iter().map(|file| context.join(file));
    let whole = |path: TreePath| Context { path, ignored: BuildIgnore::default() };
    let beside = dockerfiles.chain(section.additional.iter().map(PathBuf::from)).filter(|path| path.is_absolute());
    let ignore = ignore_file(section, production, source);
    let beside = beside.filter_map(|path| below_production(&path, production)).chain(ignore).map(whole);
    let main = Some(context).filter(|path| path.is_absolute()).and_then(|path| below_production(path, production));
    let ignored = build_ignore(section, production, source);
    main.into_iter().map(|path| Context { path, ignored: ignored.clone() }).chain(beside).collect()
}

/// Where a path of a tree is on the disk.
pub(super) fn at(root: &Path, path: &TreePath) -> PathBuf {
    root.join(OsStr::from_bytes(path.bytes()))
}

impl Ground<'_> {
    fn unread(&self, error: &ReadError) -> Failure {
        Failure::new(self.what, format!("Its files cannot be read: {}.", error.reason()), "Check its disks and ask again.")
    }
}

impl Mounted {
    /// Finds out what services mount, and what of it is copied.
    pub(super) async fn of(ground: &Ground<'_>) -> Result<Self, Failure> {
        let Ground { project, production, declared, .. } = ground;
        let now = written(production, ground.ours, declared.definitions.iter());
        let before = written(production, ground.ours, declared.before.iter());
        let mut all: Vec<Written> = now.into_iter().map(|(path, by)| Written { path, by, declared: true }).collect();
        for (path, by) in before {
            if !all.iter().any(|known| known.path == path && known.by == by) {
                all.push(Written { path, by, declared: false });
            }
        }
        all.sort_by(|a, b| (&a.path, &a.by).cmp(&(&b.path, &b.by)));
        let read = read_only(production, declared);
        let (source, paths) = (ground.source.to_owned(), all.iter().map(|written| written.path.clone()).collect::<BTreeSet<_>>());
        let built = declared.definitions.values().filter_map(|definition| definition.build.clone()).collect::<Vec<_>>();
        let place = production.to_path_buf();
        let look = untrusted::off_runtime(move || {
            let contexts = built.iter().flat_map(|section| contexts(section, &place, &source)).collect::<Vec<_>>();
            (paths.into_iter().filter(|path| at(&source, path).is_file()).collect::<BTreeSet<_>>(), contexts)
        });
        let (files, contexts) = look.await.map_err(|error| ground.unread(&error))?;
        let roots = roots(project, &all, &read, &files);
        let mut mounts = Mounts {
            copy: CopyPatterns::new(&project.copy).map_err(|error| {
                Failure::new(ground.what, format!("What to copy cannot be understood: {error}."), "Fix \"copy\" in projects.json.")
            })?,
            contexts,
            chosen: files.clone(),
            roots,
        };
        let mut parts = BTreeSet::new();
        if mounts.roots.values().any(|below| *below == Below::Chosen) {
            mounts.chosen.extend(chosen(ground, &mounts, &files).await?);
            parts = self::parts(ground).await.into_iter().filter(|path| !files.contains(path)).collect();
            mounts.chosen.extend(parts.iter().cloned());
        }
        let copied = ground.rules.with_mounts(Mounts { contexts: Vec::new(), ..mounts.clone() });
        let mut known = Mounts { contexts: Vec::new(), ..mounts.clone() };
        let current = ground.current.iter().flat_map(|c| c.unsettled.iter().chain([&c.owned, &c.release.manifest]));
        let old = ground.old.map(|old| &old.manifest);
        known.chosen.extend(current.chain(old).flat_map(|part| part.0.keys()).cloned());
        Ok(Self {
            workspace: ground.rules.with_mounts(mounts.clone()),
            production: ground.rules.with_mounts(known),
            copied,
            mounts,
            written: all,
            files,
            parts,
        })
    }

    /// What is left as production has it, given what is to come and what is there. `overwrite` names what is not.
    pub(super) async fn preserved(
        &self,
        ground: &Ground<'_>,
        coming: &Manifest,
        production: &Manifest,
        overwrite: &BTreeSet<TreePath>,
    ) -> Result<Preserved, Failure> {
        let put: Vec<&Manifest> = ground.current.iter().flat_map(|c| std::iter::once(&c.release.owned).chain(&c.unsettled)).collect();
        // What an earlier release did not bring because production had changed it is no less there.
        let in_workspace: BTreeSet<TreePath> = match ground.old {
            Some(old) => old.owned.0.keys().cloned().collect(),
            None => {
                let gone = put.iter().flat_map(|put| put.0.keys()).filter(|path| !coming.0.contains_key(*path) && self.is_written(path));
                let (gone, source): (Vec<TreePath>, _) = (gone.cloned().collect(), ground.source.to_owned());
                let look = move || gone.into_iter().filter(|path| at(&source, path).symlink_metadata().is_ok()).collect();
                untrusted::off_runtime(look).await.map_err(|error| ground.unread(&error))?
            }
        };
        let mut preserved = Preserved::of(&PreserveFacts {
            coming,
            production,
            put: &put,
            release: ground.current.map(|c| c.release.number),
            is_written: &|path| self.is_written(path),
            is_mounted: &|path| self.is_mounted(path),
            is_in_workspace: &|path| in_workspace.contains(path),
        });
        preserved.overwrite(ground.what, overwrite)?;
        Ok(preserved)
    }

    /// Whether a service may write to a path.
    pub(super) fn is_written(&self, path: &TreePath) -> bool {
        self.written.iter().any(|written| path.is_within(&written.path))
    }

    /// Whether a service mounts exactly this file.
    pub(super) fn is_mounted(&self, path: &TreePath) -> bool {
        self.files.contains(path)
    }

    /// The part of what the workspace holds that comes into production.
    pub(super) fn copied(&self, scanned: &Manifest) -> Manifest {
        if self.mounts.roots.is_empty() {
            return scanned.clone();
        }
        let comes = |(path, entry): &(&TreePath, &Entry)| !self.copied.excluded_by_mounts(path, entry.is_directory());
        let mut copied: Manifest = scanned.0.iter().filter(comes).map(|(path, entry)| (path.clone(), entry.clone())).collect();
        for root in self.written.iter().map(|written| &written.path).filter(|path| !path.bytes().is_empty()) {
            let files: Vec<TreePath> = copied
                .0
                .iter()
                .filter(|(path, entry)| path.is_within(root) && !entry.is_directory())
                .map(|(path, _)| path.clone())
                .collect();
            if !files.is_empty() && files.iter().all(|path| *path != *root && is_placeholder(path.file_name())) {
                files.iter().for_each(|path| drop(copied.to_mut().remove(path)));
            }
        }
        self.copied.prune(&mut copied);
        copied
    }

    /// The part of an earlier release that comes into production again: not what a stateful service keeps its data in by now.
    pub(super) fn returning(&self, old: &Manifest) -> Manifest {
        let comes = |path: &TreePath| self.mounts.below(path) != Some(Below::Nothing);
        old.0.iter().filter(|(path, _)| comes(path)).map(|(path, entry)| (path.clone(), entry.clone())).collect()
    }

    /// What is staged: what comes into production, and what images are built from.
    pub(super) fn staged(&self, scanned: &Manifest, coming: &Manifest) -> Manifest {
        let built =
            |path: &TreePath| self.mounts.contexts.iter().any(|context| path.is_within(&context.path) || context.path.is_within(path));
        let part = scanned.0.iter().filter(|(path, _)| coming.0.contains_key(*path) || built(path));
        part.map(|(path, entry)| (path.clone(), entry.clone())).collect()
    }

    /// The paths that services may write to, with what a plan has to say of each, and what services mount of production that is
    /// not there. `copied` is what comes from the workspace; without a workspace nothing is missing.
    pub(super) async fn paths(&self, ground: &Ground<'_>, copied: &Manifest) -> Result<(Vec<WrittenMount>, Vec<TreePath>), Failure> {
        let (production, workspace) = (ground.production.to_owned(), ground.old.is_none().then(|| ground.source.to_owned()));
        let mut paths: Vec<WrittenMount> = Vec::new();
        for written in &self.written {
            let keeps_data = self.mounts.below(&written.path) == Some(Below::Nothing);
            match paths.iter_mut().find(|known| known.path == written.path) {
                Some(known) => {
                    // Whoever keeps data there is the one to be told of.
                    if ground.project.stateful.contains(&written.by) && !ground.project.stateful.contains(&known.by) {
                        known.by = written.by.clone();
                    }
                    known.declared |= written.declared;
                }
                None => paths.push(WrittenMount {
                    path: written.path.clone(),
                    by: written.by.clone(),
                    declared: written.declared,
                    keeps_data,
                    copied: copied.0.iter().any(|(path, entry)| !entry.is_directory() && self.arrives_at(&written.path, path)),
                    in_production: false,
                    left: Vec::new(),
                }),
            }
        }
        let (rules, copied) = (ground.rules.clone(), copied.clone());
        let written = self.written.iter().filter(|written| written.declared).map(|written| &written.path);
        let mounted: BTreeSet<TreePath> = written.cloned().chain(read_only(&production, ground.declared)).collect();
        let look = move || {
            let roots: Vec<TreePath> = paths.iter().map(|mount| mount.path.clone()).collect();
            for mount in &mut paths {
                mount.in_production = at(&production, &mount.path).symlink_metadata().is_ok();
                if let Some(workspace) = &workspace {
                    mount.left = left(workspace, &mount.path, &roots, &rules, &copied);
                }
            }
            let all = mounted.iter().flat_map(TreePath::ancestors).filter(|path| !path.bytes().is_empty()).collect::<BTreeSet<_>>();
            let absent = all.into_iter().filter(|path| at(&production, path).symlink_metadata().is_err()).collect();
            (paths, absent)
        };
        untrusted::off_runtime(look).await.map_err(|error| ground.unread(&error))
    }
}

impl Mounted {
    /// Whether a file that is copied is what a service finds at what it mounts: rather than at another mount below that.
    fn arrives_at(&self, mount: &TreePath, path: &TreePath) -> bool {
        path.is_within(mount) && self.mounts.innermost(path).as_ref() == Some(mount) && !self.parts.contains(path)
    }
}

/// What counts for each mounted path.
fn roots(project: &Project, all: &[Written], read: &BTreeSet<TreePath>, files: &BTreeSet<TreePath>) -> BTreeMap<TreePath, Below> {
    let mut roots: BTreeMap<TreePath, Below> = BTreeMap::new();
    for Written { path, by, .. } in all {
        let is_declared = all.iter().any(|other| other.declared && other.path == *path);
        let below = match (files.contains(path), project.stateful.contains(by)) {
            // The release that comes only reads there.
            _ if !is_declared && read.contains(path) => Below::Everything,
            (false, true) => Below::Nothing,
            _ => Below::Chosen,
        };
        roots.entry(path.clone()).and_modify(|known| *known = below.max(*known)).or_insert(below);
    }
    let writable: Vec<TreePath> = roots.keys().cloned().collect();
    for path in read.iter().filter(|path| writable.iter().any(|root| path.is_within(root) && *path != root)) {
        roots.entry(path.clone()).or_insert(Below::Everything);
    }
    roots
}

/// The files that are copied below what a service may write to: those that git tracks.
async fn chosen(ground: &Ground<'_>, mounts: &Mounts, files: &BTreeSet<TreePath>) -> Result<BTreeSet<TreePath>, Failure> {
    if let Some(old) = ground.old {
        return Ok(old.manifest.0.keys().cloned().collect());
    }
    let directories = mounts.roots.iter().filter(|(path, below)| **below == Below::Chosen && !files.contains(*path));
    let directories: Vec<TreePath> = directories.map(|(path, _)| path.clone()).collect();
    let found = tracked(ground.source, &directories, &ground.tools.plan_mark(), &ground.tools.stopping).await;
    found.map_err(|why| {
        Failure::new(ground.what, format!("The files that git tracks in the workspace cannot be listed: {why}."), "Fix that and ask again.")
    })
}

/// The files that the configuration is made of.
async fn parts(ground: &Ground<'_>) -> BTreeSet<TreePath> {
    let Some(composed) = &ground.declared.composed else { return BTreeSet::new() };
    let parts = sources::off_runtime(&composed.files(ground.source, ground.source, None), sources::parts).await;
    parts.unwrap_or_default().iter().map(|path| tree_path(path)).collect()
}

fn is_placeholder(name: &[u8]) -> bool {
    PLACEHOLDERS.iter().any(|placeholder| placeholder.as_bytes() == name)
}

/// The files of the workspace at or below a path that are not copied, the first few; without those below other mounts.
fn left(workspace: &Path, root: &TreePath, mounts: &[TreePath], rules: &Rules, copied: &Manifest) -> Vec<TreePath> {
    let (mut found, mut looked) = (Vec::new(), 0);
    let mut waiting = vec![root.clone()];
    while let Some(path) = waiting.pop() {
        looked += 1;
        if looked > LOOKED_MAX || found.len() >= LEFT_MAX {
            break;
        }
        let place = at(workspace, &path);
        let Ok(seen) = place.symlink_metadata() else { continue };
        if !path.bytes().is_empty() && rules.excluded(&path, seen.is_dir()) || path != *root && mounts.contains(&path) {
            continue;
        }
        if !seen.is_dir() {
            if (seen.is_file() || seen.is_symlink()) && !is_placeholder(path.file_name()) && !copied.0.contains_key(&path) {
                found.push(path);
            }
            continue;
        }
        let mut names: Vec<_> = std::fs::read_dir(&place).into_iter().flatten().flatten().take(LOOKED_MAX).map(|e| e.file_name()).collect();
        names.sort_unstable_by(|a, b| b.cmp(a));
        let below = |name: &OsStr| match path.bytes() {
            b"" => TreePath::new(name.as_bytes()),
            above => TreePath::new([above, name.as_bytes()].join(&b'/')),
        };
        waiting.extend(names.iter().map(|name| below(name)));
    }
    found
}

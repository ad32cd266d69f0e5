//! What a deploy leaves as production has it, below what services may write to.
//!
//! A path there is dockmaster's to replace as long as it is what dockmaster put there. What a service or a person has changed
//! since then is theirs, until somebody names it.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::failure::Failure;
use crate::domain::manifest::{Entry, Manifest, Node, TreePath};
use crate::domain::names::{Match, find};
use crate::domain::project::ServiceName;
use crate::domain::text::listing;
use crate::domain::untrusted::{SHOWN, UntrustedText};

/// How many paths a message names.
const NAMED: usize = 5;

/// A path below production that a service may write to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenMount {
    /// The path, below production; empty for all of it.
    pub path: TreePath,
    /// Who mounts it.
    pub by: ServiceName,
    /// Whether the compose files of the release that comes mount it, rather than only those that production has.
    pub declared: bool,
    /// Whether a stateful service keeps its data there, so that none of it is ever copied.
    pub keeps_data: bool,
    /// Whether any of it is copied.
    pub copied: bool,
    /// Whether production has anything at this path.
    pub in_production: bool,
    /// What the workspace has there and is not copied, the first few; never placeholders, such as `.gitkeep`.
    pub left: Vec<TreePath>,
}

/// What deciding takes.
pub struct PreserveFacts<'a> {
    /// What is to come into production.
    pub coming: &'a Manifest,
    /// What production holds.
    pub production: &'a Manifest,
    /// What dockmaster put into production and may take away again, as far as it knows: by the current release first, then by
    /// others that neither arrived nor were undone.
    pub put: &'a [&'a Manifest],
    /// The number of the current release, where there is one.
    pub release: Option<i64>,
    /// Whether a service may write to a path.
    pub is_written: &'a dyn Fn(&TreePath) -> bool,
    /// Whether a service mounts this path itself: without it the service cannot start.
    pub is_mounted: &'a dyn Fn(&TreePath) -> bool,
    /// Whether the workspace still has a path, copied or not.
    pub is_in_workspace: &'a dyn Fn(&TreePath) -> bool,
}

/// What a deploy leaves as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preserved {
    /// What production has changed, and in what way: shown, and replaced where somebody names it.
    pub changed: BTreeMap<TreePath, String>,
    /// What an earlier release brought and the workspace still has, though it is no longer copied.
    pub released: BTreeSet<TreePath>,
    /// What would be left as it is, and is replaced because somebody named it.
    pub overwritten: BTreeSet<TreePath>,
    /// Directories that production has already: their modes are theirs.
    directories: BTreeMap<TreePath, Entry>,
}

impl Preserved {
    /// Finds out what is to be left as production has it.
    pub fn of(facts: &PreserveFacts<'_>) -> Self {
        let mut preserved = Self::default();
        let since = facts.release.map_or_else(String::new, |release| format!(" since release {release}"));
        let known = facts.coming.0.keys().chain(facts.put.iter().flat_map(|put| put.0.keys()));
        for path in known.filter(|path| (facts.is_written)(path)) {
            let (new, there) = (facts.coming.0.get(path), facts.production.0.get(path));
            if let (Some(Entry { node: Node::Directory, .. }), Some(there)) = (new, there) {
                if there.is_directory() {
                    preserved.directories.insert(path.clone(), there.clone());
                }
                continue;
            }
            // Whether a directory may make way for a file is seen where it is tried: an empty one may, the engine made it.
            if new == there || there.is_some_and(Entry::is_directory) || new.is_some_and(Entry::is_directory) {
                continue;
            }
            let is_ours = match facts.put {
                [] => there.is_none(),
                put => put.iter().any(|put| put.0.get(path).filter(|put| there.is_some() || **put != unknown()) == there),
            };
            match (new, there) {
                (None, None) => {}
                (None, Some(_)) if is_ours && (facts.is_in_workspace)(path) => drop(preserved.released.insert(path.clone())),
                (_, _) if is_ours => {}
                (_, Some(_)) => {
                    let how = match facts.put.iter().any(|put| put.0.get(path).is_some_and(|put| *put != unknown())) {
                        true => format!("changed{since}"),
                        false => "no release brought it".to_owned(),
                    };
                    preserved.changed.insert(path.clone(), how);
                }
                (Some(_), None) if (facts.is_mounted)(path) => {}
                (Some(_), None) => drop(preserved.changed.insert(path.clone(), format!("deleted{since}"))),
            }
        }
        preserved
    }

    /// Takes out what somebody named: a path, or a directory with all that is below it.
    ///
    /// # Errors
    /// Nothing is left as it is at or below a name.
    pub fn overwrite(&mut self, what: &str, named: &BTreeSet<TreePath>) -> Result<(), Failure> {
        for name in named {
            let meant: Vec<TreePath> = self.changed.keys().filter(|path| path.is_within(name)).cloned().collect();
            if meant.is_empty() && !self.overwritten.iter().any(|path| path.is_within(name)) {
                return Err(self.unknown(what, name));
            }
            for path in meant {
                self.changed.remove(&path);
                self.overwritten.insert(path);
            }
        }
        Ok(())
    }

    fn unknown(&self, what: &str, name: &TreePath) -> Failure {
        let shown = UntrustedText::new(name.written());
        let kept: Vec<String> = self.changed.keys().map(TreePath::written).collect();
        let next = if kept.is_empty() {
            "Production has changed nothing that a deploy would leave as it is: ask without overwrite.".to_owned()
        } else {
            let untrusted = |all: &[&str]| listing(all.iter().map(|path| UntrustedText::from(*path)), NAMED);
            let all: Vec<&str> = kept.iter().map(String::as_str).collect();
            match find(&name.written(), all.iter().copied()) {
                Match::Unknown(near) if !near.is_empty() => format!("Nearest: {}.", untrusted(&near)),
                Match::Found(_) | Match::Unknown(_) => format!("Kept as production has it: {}.", untrusted(&all)),
            }
        };
        Failure::new(what, format!("Nothing is kept as production has it at {shown}, so that there is nothing to overwrite."), next)
    }

    /// Whether a path is left as it is.
    pub fn holds(&self, path: &TreePath) -> bool {
        self.changed.contains_key(path) || self.released.contains(path)
    }

    /// A manifest without what is left as it is.
    #[must_use]
    pub fn without(&self, manifest: &Manifest) -> Manifest {
        if self.changed.is_empty() && self.released.is_empty() {
            return manifest.clone();
        }
        manifest.0.iter().filter(|(path, _)| !self.holds(path)).map(|(path, entry)| (path.clone(), entry.clone())).collect()
    }

    /// What production will hold of what is to come: the rest, and its own directories as they are.
    #[must_use]
    pub fn coming(&self, coming: &Manifest) -> Manifest {
        let mut coming = self.without(coming);
        for (path, entry) in
            self.directories.iter().filter(|(path, entry)| coming.0.get(path).is_some_and(|new| new != *entry)).collect::<Vec<_>>()
        {
            coming.to_mut().insert(path.clone(), entry.clone());
        }
        coming
    }

    /// What dockmaster has put into production once that is there: of what is left as it is, what was put there before. Without
    /// that, what a service has deleted would come again with the release after the next, and a rollback would take away what no
    /// release has brought.
    #[must_use]
    pub fn put(&self, coming: &Manifest, before: Option<&Manifest>) -> Manifest {
        let mut put = coming.clone();
        for path in self.changed.keys().chain(&self.released) {
            put.to_mut().insert(path.clone(), before.and_then(|before| before.0.get(path)).cloned().unwrap_or_else(unknown));
        }
        put
    }
}

/// What stands for a file that production had before any release: no file is like it.
fn unknown() -> Entry {
    Entry { node: Node::File { hash: String::new(), size: 0 }, mode: 0 }
}

/// Refuses where a service would find a path empty that the workspace has something for.
///
/// # Errors
/// There is such a path: the first, and what to do about it.
pub(super) fn refuse_missing(project: &str, what: &str, mounts: &[WrittenMount]) -> Result<(), Failure> {
    if let Some(mount) = mounts.iter().find(|mount| mount.path.bytes().is_empty() && !mount.copied) {
        let by = &mount.by;
        let (why, copy) = if mount.keeps_data {
            (format!("{by} keeps data and mounts all of production writable, so nothing could be copied there safely."), String::new())
        } else {
            let why = format!(
                "{by} mounts all of production writable, and git tracks nothing of the workspace, so nothing could be copied there safely."
            );
            (
                why,
                format!(
                    " Or put the workspace under git, or say that all of it is to be copied: \"copy\": [\"*\"] in {project} of projects.json."
                ),
            )
        };
        let next = format!("Mount it read-only (\":ro\"), or mount only the directories that {by} writes to.{copy}");
        return Err(Failure::new(what, why, next));
    }
    let missing = |mount: &&WrittenMount| mount.declared && !mount.copied && !mount.in_production && !mount.left.is_empty();
    let Some(mount) = mounts.iter().find(missing) else { return Ok(()) };
    let (by, path) = (&mount.by, &mount.path);
    let is_directory = mount.left != [path.clone()];
    let plain = UntrustedText::new(path.written()).line(SHOWN);
    let line = if is_directory { format!("{plain}/") } else { plain };
    Err(if mount.keeps_data {
        Failure::new(
            what,
            format!(
                "{by} mounts {path}, which the workspace has and production has not. Below what a stateful service mounts writable nothing is copied."
            ),
            format!(
                "If it is configuration, mount it read-only (\":ro\"). If {by} is to begin without it, make the directory in production (mkdir), or exclude it: \"exclude\": [\"/{line}\"]."
            ),
        )
    } else {
        Failure::new(
            what,
            format!(
                "{by} mounts {path} writable, which the workspace has and production has not, and git tracks nothing of it: {by} would find it empty."
            ),
            format!(
                "If it is configuration, name it in {project} of projects.json: \"copy\": [\"{line}\"]. If {by} is to begin without it, exclude it: \"exclude\": [\"/{line}\"]."
            ),
        )
    })
}

/// What of the workspace is not copied, and why.
pub(super) fn not_copied(mounts: &[WrittenMount]) -> Vec<(TreePath, String)> {
    let why = |mount: &WrittenMount| match (mount.keeps_data, mount.copied) {
        (true, _) => format!("{} keeps data there", mount.by),
        (false, false) => format!("{} writes there", mount.by),
        (false, true) => format!("{} writes there, and git does not track {}", mount.by, listing(&mount.left, 2)),
    };
    let path = |mount: &WrittenMount| if mount.path.bytes().is_empty() { TreePath::from(".") } else { mount.path.clone() };
    mounts.iter().filter(|mount| !mount.left.is_empty()).map(|mount| (path(mount), why(mount))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Manifest {
        let entry = |hash: &str| match hash {
            "/" => Entry { node: Node::Directory, mode: 0o755 },
            "//" => Entry { node: Node::Directory, mode: 0o700 },
            hash => Entry { node: Node::File { hash: hash.into(), size: 1 }, mode: 0o644 },
        };
        files.iter().map(|(path, hash)| (TreePath::from(*path), entry(hash))).collect()
    }

    fn of(coming: &Manifest, production: &Manifest, put: &[&Manifest]) -> Preserved {
        let release = (!put.is_empty()).then_some(3);
        Preserved::of(&PreserveFacts {
            coming,
            production,
            put,
            release,
            is_written: &|path| path.is_within(&"conf".into()) || *path == "app.conf".into(),
            is_mounted: &|path| *path == "app.conf".into(),
            is_in_workspace: &|path| *path == "conf/untracked".into(),
        })
    }

    fn told(preserved: &Preserved) -> String {
        preserved.changed.iter().map(|(path, why)| format!("{path} {why}; ")).collect()
    }

    #[test]
    fn what_production_has_changed_is_kept() {
        let put =
            tree(&[("conf", "/"), ("conf/same", "1"), ("conf/edited", "1"), ("conf/gone", "1"), ("app.conf", "1"), ("elsewhere", "1")]);
        let production = tree(&[("conf", "//"), ("conf/same", "1"), ("conf/edited", "9"), ("conf/own", "9"), ("elsewhere", "9")]);
        let coming = tree(&[
            ("conf", "/"),
            ("conf/same", "2"),
            ("conf/edited", "2"),
            ("conf/gone", "2"),
            ("conf/own", "2"),
            ("conf/new", "2"),
            ("app.conf", "2"),
            ("elsewhere", "2"),
        ]);
        let preserved = of(&coming, &production, &[&put]);
        assert_eq!(
            told(&preserved),
            "`conf/edited` changed since release 3; `conf/gone` deleted since release 3; `conf/own` no release brought it; "
        );
        let left = preserved.coming(&coming);
        assert_eq!(left, tree(&[("conf", "//"), ("conf/same", "2"), ("conf/new", "2"), ("app.conf", "2"), ("elsewhere", "2")]));
        // With the next release it is the same: what a service deleted does not come again.
        let put = preserved.put(&left, Some(&put));
        assert_eq!(put.0.get(&"conf/gone".into()), tree(&[("conf/gone", "1")]).0.get(&"conf/gone".into()));
        let production =
            tree(&[("conf", "//"), ("conf/same", "2"), ("conf/new", "2"), ("conf/edited", "9"), ("conf/own", "9"), ("app.conf", "2")]);
        assert_eq!(of(&coming, &production, &[&put]).changed.keys().collect::<Vec<_>>(), preserved.changed.keys().collect::<Vec<_>>());
    }

    #[test]
    fn without_a_release_what_is_there_is_kept() {
        let coming = tree(&[("conf/a", "1"), ("conf/b", "1"), ("conf/c", "1")]);
        let preserved = of(&coming, &tree(&[("conf/a", "1"), ("conf/b", "9")]), &[]);
        assert_eq!(told(&preserved), "`conf/b` no release brought it; ");
        let engine = tree(&[("app.conf", "/")]);
        assert_eq!(of(&tree(&[("app.conf", "1")]), &engine, &[]), Preserved::default(), "a directory that the engine made is nobody's");
    }

    #[test]
    fn what_is_no_longer_copied_stays_and_what_is_no_longer_there_goes() {
        let put = tree(&[("conf/untracked", "1"), ("conf/deleted", "1"), ("conf/edited", "1")]);
        let production = tree(&[("conf/untracked", "1"), ("conf/deleted", "1"), ("conf/edited", "9")]);
        let preserved = of(&Manifest::default(), &production, &[&put]);
        assert!(preserved.holds(&"conf/untracked".into()) && !preserved.holds(&"conf/deleted".into()));
        assert_eq!(told(&preserved), "`conf/edited` changed since release 3; ");
    }

    #[test]
    fn what_a_release_left_that_never_arrived_is_ours() {
        let (put, broken) = (tree(&[("conf/a", "1")]), tree(&[("conf/a", "2")]));
        assert_eq!(of(&tree(&[("conf/a", "3")]), &broken, &[&put, &broken]), Preserved::default());
    }

    #[test]
    fn only_what_is_kept_can_be_overwritten() {
        let coming = tree(&[("conf/a", "1"), ("conf/b", "1"), ("app.conf", "1")]);
        let kept = of(&coming, &tree(&[("conf/a", "9"), ("conf/b", "9"), ("app.conf", "9")]), &[]);
        let named = |paths: &[&str]| paths.iter().map(|path| TreePath::from(*path)).collect::<BTreeSet<_>>();
        let mut one = kept.clone();
        one.overwrite("", &named(&["conf"])).unwrap();
        assert_eq!((told(&one).as_str(), one.overwritten.len()), ("`app.conf` no release brought it; ", 2));
        let refused = kept.clone().overwrite("No.", &named(&["app.cnf"])).unwrap_err();
        assert_eq!(refused.next, "Nearest: `app.conf`.");
        let refused = Preserved::default().overwrite("No.", &named(&["x"])).unwrap_err();
        assert!(refused.next.contains("ask without overwrite"), "{refused}");
    }

    fn mount(path: &str, keeps_data: bool, copied: bool, left: &[&str]) -> WrittenMount {
        WrittenMount {
            path: path.into(),
            by: ServiceName::new("web").unwrap(),
            declared: true,
            keeps_data,
            copied,
            in_production: path.is_empty(),
            left: left.iter().map(|path| TreePath::from(*path)).collect(),
        }
    }

    #[test]
    fn a_mount_that_would_be_empty_is_refused_with_the_line_to_add() {
        let refused = |mount: WrittenMount| {
            refuse_missing("shop", "No.", &[mount]).map_or_else(|f| format!("{}\n{}", f.why, f.next), |()| "fine".into())
        };
        expect_test::expect![[r#"
            web mounts `conf.d` writable, which the workspace has and production has not, and git tracks nothing of it: web would find it empty.
            If it is configuration, name it in shop of projects.json: "copy": ["conf.d/"]. If web is to begin without it, exclude it: "exclude": ["/conf.d/"]."#]]
        .assert_eq(&refused(mount("conf.d", false, false, &["conf.d/a"])));
        expect_test::expect![[r#"
            web mounts `init`, which the workspace has and production has not. Below what a stateful service mounts writable nothing is copied.
            If it is configuration, mount it read-only (":ro"). If web is to begin without it, make the directory in production (mkdir), or exclude it: "exclude": ["/init/"]."#]]
        .assert_eq(&refused(mount("init", true, false, &["init/a.sql"])));
        assert!(refused(mount("", false, false, &["x"])).contains("\"copy\": [\"*\"]"));
        assert!(!refused(mount("", true, false, &["x"])).contains("copy\": ["));
        assert_eq!(refused(mount("conf.d", false, true, &["conf.d/a"])), "fine");
        assert_eq!(refused(mount("data", true, false, &[])), "fine", "nothing but placeholders");
        assert_eq!(refused(WrittenMount { in_production: true, ..mount("data", true, false, &["data/x"]) }), "fine");
        assert_eq!(refused(WrittenMount { declared: false, ..mount("data", true, false, &["data/x"]) }), "fine");
    }
}

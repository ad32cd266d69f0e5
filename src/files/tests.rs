//! What the tests of several files here need: a project's directories, random trees, a small disk.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::rules::Rules;
use super::scan::scan;
use super::store::stage;
use super::transfer::{Promoted, Promotion, promote};
use crate::domain::failure::Failure;
use crate::domain::manifest::{Changes, Manifest};
use crate::process::{self, Invocation};

/// A project: a workspace, production, and dockmaster's own directory beside them.
pub(super) struct Place {
    pub(super) dir: tempfile::TempDir,
    pub(super) rules: Rules,
    pub(super) owned: Option<Manifest>,
}

impl Place {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["workspace", "production", "data"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let rules = Rules::new(&["*.log".into()], "", vec!["db".into()]).unwrap();
        Self { dir, rules, owned: None }
    }

    pub(super) fn workspace(&self) -> PathBuf {
        self.dir.path().join("workspace")
    }

    pub(super) fn production(&self) -> PathBuf {
        self.dir.path().join("production")
    }

    pub(super) fn stage(&self) -> PathBuf {
        self.dir.path().join("data/deep/stage")
    }

    pub(super) fn scan(&self, root: &Path) -> Manifest {
        scan(root, &self.rules, &CancellationToken::new()).unwrap().manifest
    }

    pub(super) fn changes(&self) -> (Manifest, Changes) {
        let new = self.scan(&self.workspace());
        let changes = Changes::between(&self.scan(&self.production()), &new, self.owned.as_ref());
        (new, changes)
    }

    pub(super) async fn staged(&self, new: &Manifest) -> Result<(), Failure> {
        stage(&self.workspace(), &self.stage(), new, &[], "", &mut |_| {}, &CancellationToken::new()).await.map(drop)
    }

    /// Plans, stages and promotes, as a deploy does.
    pub(super) async fn deploy(&mut self, lines: &mut Vec<String>) -> Result<Promoted, Failure> {
        let (new, changes) = self.changes();
        self.staged(&new).await?;
        assert_eq!(self.scan(&self.stage()), new, "the stage is what was listed");
        let promoted = self.promote(&new, &changes, lines).await?;
        self.owned = Some(new);
        Ok(promoted)
    }

    pub(super) async fn promote(&self, new: &Manifest, changes: &Changes, lines: &mut Vec<String>) -> Result<Promoted, Failure> {
        let (stage, production, owned) = (self.stage(), self.production(), self.owned.as_ref());
        let promotion = Promotion {
            stage: &stage,
            production: &production,
            changes,
            new,
            owned,
            rules: &self.rules,
            written: &[],
            mark: "",
            known: None,
        };
        promote(&promotion, &mut |line| lines.push(line.to_owned())).await
    }

    pub(super) async fn deployed(&mut self) -> Promoted {
        self.deploy(&mut Vec::new()).await.unwrap()
    }

    pub(super) async fn refused(&mut self) -> String {
        let before = raw(&self.production());
        let failure = self.deploy(&mut Vec::new()).await.unwrap_err();
        assert_eq!(raw(&self.production()), before, "a refusal changes nothing");
        format!("{failure} {}", failure.next)
    }
}

pub(super) fn at(root: &Path, path: &[u8]) -> PathBuf {
    root.join(OsStr::from_bytes(path))
}

pub(super) fn put(root: &Path, path: &str, content: &str) {
    put_mode(root, path, content, 0o644);
}

pub(super) fn put_mode(root: &Path, path: &str, content: &str, mode: u32) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A tree as it lies there: path to mode and content.
pub(super) type Raw = BTreeMap<Vec<u8>, (u32, Option<Vec<u8>>)>;

/// All that there is, byte for byte, without any rules.
pub(super) fn raw(root: &Path) -> Raw {
    let mut all = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            let content = if meta.is_symlink() {
                Some(fs::read_link(&path).unwrap().into_os_string().into_vec())
            } else if meta.is_file() {
                Some(fs::read(&path).unwrap())
            } else {
                pending.push(path.clone());
                None
            };
            all.insert(path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec(), (meta.mode(), content));
        }
    }
    all
}

/// A program that stands before rsync. Written by another process: one that we write could not be started while any
/// other test starts one at the same moment.
pub(super) async fn wrapper(place: &Place, script: &str) -> PathBuf {
    let path = place.dir.path().join("rsync-wrapper");
    let write = Invocation::new("sh").args(["-c", "cat > \"$0\" && chmod 700 \"$0\""]).arg(&path).stdin(format!("#!/bin/sh\n{script}\n"));
    assert!(process::run(&write, &mut |_| {}, &CancellationToken::new()).await.unwrap().success());
    path
}

/// A file system of a megabyte, gone with this value.
pub(super) struct Small(pub(super) PathBuf);

impl Small {
    pub(super) async fn mount(at: PathBuf) -> Self {
        let mount = Invocation::new("mount").args(["-t", "tmpfs", "-o", "size=1m,mode=755", "dockmaster-test"]).arg(&at);
        let done = process::run(&mount, &mut |_| {}, &CancellationToken::new()).await.unwrap();
        assert!(done.success(), "this test mounts a small file system, which takes root: {:?}", done.tail);
        Self(at)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let unmount = Invocation::new("umount").arg("-l").arg(&self.0);
        let ended = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(process::run(&unmount, &mut |_| {}, &CancellationToken::new())).is_ok_and(|done| done.success())
        });
        let ended = ended.join().unwrap_or(false);
        assert!(ended || std::thread::panicking(), "{} is still mounted", self.0.display());
    }
}

/// What a random tree is made of.
#[derive(Debug, Clone)]
pub(super) enum Thing {
    File(u8, u32),
    Link(&'static str),
    Directory(u32),
}

pub(super) type Spec = BTreeMap<Vec<u8>, Thing>;

pub(super) fn a_path() -> impl Strategy<Value = Vec<u8>> {
    let names: [&[u8]; 10] = [b"a", b"b", b"-rf", b"new\nline", b" sp ace ", b"#;", b"x.log", b".env", b"\xff\\n[*]?", b"db"];
    proptest::collection::vec(proptest::sample::select(names.to_vec()), 1..4).prop_map(|parts| parts.join(&b'/'))
}

pub(super) fn a_thing() -> impl Strategy<Value = Thing> {
    prop_oneof![
        5 => (0..4_u8, proptest::sample::select(vec![0o644, 0o755, 0o600, 0o400, 0o4755])).prop_map(|(content, mode)| Thing::File(content, mode)),
        1 => proptest::sample::select(vec!["a", "../b", "/nowhere", "-rf/x"]).prop_map(Thing::Link),
        1 => proptest::sample::select(vec![0o755, 0o700, 0o2775]).prop_map(Thing::Directory),
    ]
}

pub(super) fn a_tree() -> impl Strategy<Value = Spec> {
    proptest::collection::btree_map(a_path(), a_thing(), 0..14)
}

/// Puts a random tree over what is there; what does not fit is left out.
pub(super) fn put_tree(root: &Path, spec: &Spec) {
    for (path, thing) in spec {
        let path = at(root, path);
        let fits = path.ancestors().skip(1).take_while(|p| p.starts_with(root)).all(|p| p.symlink_metadata().map_or(true, |m| m.is_dir()));
        if !fits {
            continue;
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let there = path.symlink_metadata().ok();
        match thing {
            Thing::Directory(mode) if there.as_ref().is_none_or(fs::Metadata::is_dir) => {
                fs::create_dir_all(&path).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
            }
            Thing::File(content, mode) if there.as_ref().is_none_or(fs::Metadata::is_file) => {
                let _ = fs::remove_file(&path);
                // Two contents to each size.
                fs::write(&path, vec![b'0' + content; usize::from(*content / 2)]).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
            }
            Thing::Link(target) if there.is_none() => symlink(target, &path).unwrap(),
            _ => {}
        }
    }
}

pub(super) fn empty(root: &Path) {
    fs::remove_dir_all(root).unwrap();
    fs::create_dir(root).unwrap();
}

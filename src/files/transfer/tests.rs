use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use proptest::prelude::*;

use super::*;
use crate::domain::manifest::{Entry, Node, TreePath};
use crate::files::tests::{Place, Raw, Small, a_tree, empty, put, put_mode, put_tree, raw, wrapper};

#[tokio::test]
async fn a_second_release_replaces_the_first_and_leaves_the_rest() {
    let mut place = Place::new();
    let (w, p) = (place.workspace(), place.production());
    put_mode(&w, "run.sh", "#!/bin/sh", 0o755);
    put(&w, "app/old.py", "old");
    put(&w, "app/main.py", "one");
    put_mode(&w, "secret.key", "k", 0o600);
    put(&w, "gone/deep/er/file", "x");
    put(&w, "ignored.log", "workspace's");
    put(&p, "ignored.log", "production's");
    put(&p, ".env", "A=1");
    put(&p, "db/base/1", "rows");
    put(&p, "app/local.py", "theirs");
    let first = place.deployed().await;
    assert_eq!(first, Promoted { copied: 5, deleted: 0 });
    put(&p, "gone/theirs", "kept");

    fs::remove_file(w.join("app/old.py")).unwrap();
    fs::remove_dir_all(w.join("gone")).unwrap();
    put(&w, "app/main.py", "two");
    put(&w, "app/new.py", "new");
    fs::create_dir(w.join("empty")).unwrap();
    fs::set_permissions(w.join("empty"), fs::Permissions::from_mode(0o2775)).unwrap();
    put_mode(&w, "secret.key", "k", 0o640);
    let inode = |name: &str| fs::metadata(p.join(name)).unwrap().ino();
    let (key, script) = (inode("secret.key"), inode("run.sh"));
    let mut lines = Vec::new();
    let second = place.deploy(&mut lines).await.unwrap();
    assert_eq!(second, Promoted { copied: 3, deleted: 2 });
    lines.sort();
    assert_eq!(lines, ["copied app/main.py", "copied app/new.py", "copied secret.key", "deleted app/old.py", "deleted gone/deep/er/file"]);
    assert_eq!(inode("secret.key"), key, "a new mode makes no new file: a mount of it goes on");
    assert_eq!(inode("run.sh"), script, "what did not change was not touched");

    let shown: String = raw(&p)
        .iter()
        .map(|(path, (mode, content))| {
            let content = content.as_ref().map_or("/".into(), |c| format!(" {}", String::from_utf8_lossy(c)));
            format!("{:o} {}{content}\n", mode & 0o7777, String::from_utf8_lossy(path))
        })
        .collect();
    expect_test::expect![[r#"
        644 .env A=1
        755 app/
        644 app/local.py theirs
        644 app/main.py two
        644 app/new.py new
        755 db/
        755 db/base/
        644 db/base/1 rows
        2775 empty/
        755 gone/
        644 gone/theirs kept
        644 ignored.log production's
        755 run.sh #!/bin/sh
        640 secret.key k
    "#]]
    .assert_eq(&shown);
    assert_eq!(place.deployed().await, Promoted { copied: 0, deleted: 0 }, "and again there is nothing to do");
}

#[tokio::test]
async fn a_read_only_file_is_replaced_and_arrives_now() {
    let mut place = Place::new();
    put_mode(&place.workspace(), "f", "one", 0o444);
    let old = fs::File::open(place.workspace().join("f")).unwrap();
    old.set_modified(std::time::UNIX_EPOCH).unwrap();
    place.deployed().await;
    fs::remove_file(place.workspace().join("f")).unwrap();
    put_mode(&place.workspace(), "f", "two", 0o400);
    fs::File::open(place.workspace().join("f")).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    place.deployed().await;
    let there = fs::metadata(place.production().join("f")).unwrap();
    assert_eq!((there.mode() & 0o7777, fs::read(place.production().join("f")).unwrap()), (0o400, b"two".to_vec()));
    assert!(there.mtime() > 0, "as new as its arrival");
}

#[tokio::test]
async fn things_of_ours_may_become_other_things() {
    let mut place = Place::new();
    let (w, p) = (place.workspace(), place.production());
    put(&w, "file-to-dir", "x");
    symlink("nowhere", w.join("link-to-dir")).unwrap();
    put(&w, "dir-to-file/a/b", "x");
    put(&w, "dir-to-file/c", "x");
    put(&w, "dir-to-link/a", "x");
    put(&w, "file-to-link", "x");
    symlink("nowhere", w.join("link-to-file")).unwrap();
    place.deployed().await;
    // An empty directory holds nothing to keep.
    fs::create_dir(p.join("dir-to-file/empty")).unwrap();

    for entry in fs::read_dir(&w).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
    put(&w, "file-to-dir/in/it", "y");
    put(&w, "link-to-dir/in", "y");
    put(&w, "dir-to-file", "y");
    symlink("file-to-dir", w.join("dir-to-link")).unwrap();
    symlink("dir-to-file", w.join("file-to-link")).unwrap();
    put(&w, "link-to-file", "y");
    let promoted = place.deployed().await;
    assert_eq!(raw(&p), raw(&w));
    assert_eq!(promoted, Promoted { copied: 6, deleted: 3 });
}

#[tokio::test]
async fn what_is_in_the_way_and_not_ours_is_refused_by_name() {
    let mut place = Place::new();
    let (w, p) = (place.workspace(), place.production());
    put(&w, "thing/ours", "x");
    place.deployed().await;
    let mut all = String::new();

    // A directory that would become a file, and holds what is to be kept: theirs, and what is excluded.
    fs::remove_dir_all(w.join("thing")).unwrap();
    put(&w, "thing", "now a file");
    put(&p, "thing/sub/theirs", "x");
    put(&p, "thing/their.log", "x");
    all += &format!("{}\n", place.refused().await);
    fs::remove_dir_all(p.join("thing/sub")).unwrap();
    all += &format!("{}\n", place.refused().await);
    fs::remove_file(p.join("thing/their.log")).unwrap();
    place.deployed().await;

    // Somebody moved a directory elsewhere and left a link.
    fs::remove_file(w.join("thing")).unwrap();
    put(&w, "data/deep/file", "x");
    place.deployed().await;
    let elsewhere = place.dir.path().join("elsewhere");
    fs::rename(p.join("data"), &elsewhere).unwrap();
    symlink(&elsewhere, p.join("data")).unwrap();
    put(&w, "data/deep/file", "y");
    all += &format!("{}\n", place.refused().await);
    assert_eq!(fs::read(elsewhere.join("deep/file")).unwrap(), b"x");
    fs::remove_file(p.join("data")).unwrap();
    fs::rename(&elsewhere, p.join("data")).unwrap();
    place.deployed().await;

    // What is no file at all.
    put(&w, "run", "x");
    let socket = std::os::unix::net::UnixListener::bind(p.join("run")).unwrap();
    let (new, changes) = place.changes();
    place.staged(&new).await.unwrap();
    all += &format!("{}\n", place.promote(&new, &changes, &mut Vec::new()).await.unwrap_err());
    drop(socket);
    fs::remove_file(p.join("run")).unwrap();

    // What came after the plan.
    let (new, changes) = place.changes();
    place.staged(&new).await.unwrap();
    put(&p, "run", "theirs");
    all += &format!("{}\n", place.promote(&new, &changes, &mut Vec::new()).await.unwrap_err());
    assert_eq!(fs::read(p.join("run")).unwrap(), b"theirs");

    // What no release put there is not deleted, whoever says so.
    let wrong = Changes { deleted: vec!["run".into()], ..Changes::default() };
    all += &format!("{}\n", place.promote(&place.owned.clone().unwrap(), &wrong, &mut Vec::new()).await.unwrap_err());
    expect_test::expect![[r#"
        The files could not be brought into production. Production has a directory at `thing`, where the workspace has a file, and it holds what is to be kept: `thing/sub/theirs`, `thing/their.log`. Nothing was changed. Move it away and ask again.
        The files could not be brought into production. Production has a directory at `thing`, where the workspace has a file, and it holds what is to be kept: `thing/their.log`. Nothing was changed. Move it away and ask again.
        The files could not be brought into production. Production has a link at `data`, where the workspace has a directory: files would be written through it. Nothing was changed. Put a directory there, or exclude it, and ask again.
        The files could not be brought into production. Production has a socket at `run`, where the workspace has a file. Nothing was changed.
        The files could not be brought into production. `run` appeared in production since this was planned. Nothing was changed.
        The files could not be brought into production. `run` would be deleted, and no release put it there. Nothing was changed.
    "#]]
    .assert_eq(&all);
}

#[tokio::test]
async fn a_directory_that_is_excluded_by_now_is_left_alone() {
    let mut place = Place::new();
    for directory in ["uploads", "volume", "plain"] {
        fs::create_dir(place.workspace().join(directory)).unwrap();
    }
    put(&place.workspace(), "a", "x");
    put(&place.workspace(), "uploads/placeholder", "");
    place.deployed().await;
    // A service writes to them now. Empty as they are, a mount of them must not lose its directory.
    place.rules = Rules::new(&["uploads/".into()], "", vec!["volume".into()]).unwrap();
    for directory in ["volume", "plain"] {
        fs::remove_dir(place.workspace().join(directory)).unwrap();
    }
    fs::remove_dir_all(place.workspace().join("uploads")).unwrap();
    assert_eq!(place.deployed().await, Promoted { copied: 0, deleted: 0 });
    let left: Vec<Vec<u8>> = raw(&place.production()).into_keys().collect();
    assert_eq!(left, [&b"a"[..], b"uploads", b"uploads/placeholder", b"volume"]);
}

#[tokio::test]
async fn what_did_not_arrive_is_said() {
    let mut place = Place::new();
    for file in ["a", "b"] {
        put(&place.workspace(), file, "one");
    }
    place.deployed().await;
    for file in ["a", "b"] {
        put(&place.workspace(), file, "two");
    }
    let (new, changes) = place.changes();
    place.staged(&new).await.unwrap();
    let (stage, production, never) = (place.stage(), place.production(), CancellationToken::new());
    let owned = place.owned.as_ref();
    let promotion = Promotion {
        stage: &stage,
        production: &production,
        changes: &changes,
        new: &new,
        owned,
        rules: &place.rules,
        written: &[],
        mark: "",
        known: None,
    };
    check(&promotion).await.unwrap();
    // The end of the arguments is production. One that copies half, one that dies at once, one behind whose back another writes.
    let last = "for last; do :; done; ";
    let mut all = String::new();
    for script in [
        format!(
            "{last} cat >/dev/null; printf two > \"$last/a\"; echo 'rsync: [receiver] mkstemp \"b\" failed: Permission denied (13)' >&2; exit 23"
        ),
        "kill -9 $$".to_owned(),
        format!("{last} rsync \"$@\" && printf xxx > \"$last/b\""),
    ] {
        let program = wrapper(&place, &script).await;
        let rsync = Rsync { program: &program, what: PROMOTING, limit: LIMIT, mark: "", cancel: &never };
        let failure = promote_with(&rsync, &promotion, &mut |_| {}).await.unwrap_err();
        all += &format!("{failure} {}\n", failure.next);
        put(&production, "a", "one");
    }
    expect_test::expect![[r#"
        The files could not be brought into production. dockmaster may not write or read there. 1 of 2 files had arrived. Give its user the right to (see the lines), and ask again.
        The files could not be brought into production. rsync was ended from outside. No file of production was changed. Ask again.
        Production is not what was deployed. These differ right after they were copied: `b`. See who else writes there (exclude what a service writes), and deploy again.
    "#]]
    .assert_eq(&all);
}

#[tokio::test]
async fn a_link_in_production_is_never_deleted_through() {
    let mut place = Place::new();
    let (w, p) = (place.workspace(), place.production());
    put(&w, "data/file", "x");
    put(&w, "other", "x");
    place.deployed().await;
    let elsewhere = place.dir.path().join("elsewhere");
    fs::rename(p.join("data"), &elsewhere).unwrap();
    symlink(&elsewhere, p.join("data")).unwrap();
    fs::remove_dir_all(w.join("data")).unwrap();
    // A plan that is older than the link.
    let changes = Changes { deleted: vec!["data/file".into()], ..Changes::default() };
    let data = Entry { node: Node::Directory, mode: 0o755 };
    let file = place.owned.as_ref().unwrap().0[&"other".into()].clone();
    let owned = [("data".into(), data), ("data/file".into(), file.clone()), ("other".into(), file)];
    place.owned = Some(Manifest::from_iter(owned));
    let new = place.scan(&w);
    place.promote(&new, &changes, &mut Vec::new()).await.unwrap();
    assert!(elsewhere.join("file").exists() && p.join("data").is_symlink());
}

#[tokio::test]
async fn what_a_killed_run_left_is_swept_away() {
    let mut place = Place::new();
    let (w, p) = (place.workspace(), place.production());
    put(&w, "app/a", "x");
    place.deployed().await;
    put(&p, "app/.~tmp~/a", "half");
    put(&p, ".~tmp~/b", "half");
    put_mode(&p, ".dockmaster-tmp/c/d", "half", 0o000);
    fs::set_permissions(p.join(".dockmaster-tmp/c"), fs::Permissions::from_mode(0o000)).unwrap();
    put(&p, "theirs/.~tmp~/a", "not ours to judge");
    put(&w, "app/a", "y");
    place.deployed().await;
    let left: Vec<Vec<u8>> = raw(&p).into_keys().collect();
    assert_eq!(left, [&b"app"[..], b"app/a", b"theirs", b"theirs/.~tmp~", b"theirs/.~tmp~/a"]);
}

#[tokio::test]
async fn a_full_disk_leaves_production_as_it_was() {
    let mut place = Place::new();
    let (w, p) = (place.workspace(), place.production());
    let _small = Small::mount(p.clone()).await;
    for file in ["a", "b", "c"] {
        put(&w, &format!("app/{file}"), &"x".repeat(150_000));
    }
    place.deployed().await;
    put(&p, "theirs", "x");
    let before = raw(&p);
    for file in ["a", "b", "c"] {
        put(&w, &format!("app/{file}"), &"y".repeat(300_000));
    }
    let failure = place.deploy(&mut Vec::new()).await.unwrap_err();
    assert_eq!(failure.to_string(), "The files could not be brought into production. The disk is full. No file of production was changed.");
    assert_eq!(failure.next, "Make room and ask again.");
    assert!(failure.lines.iter().any(|l| l.contains("No space left on device")), "{failure:?}");
    assert_eq!(raw(&p), before, "byte for byte, and without anything half done");
}

/// What production must hold after a deploy, from what it held before: nothing else, byte for byte.
fn expected(place: &Place, before: &Raw, changes: &Changes, new: &Manifest) -> Raw {
    let mut all = before.clone();
    for path in &changes.deleted {
        all.remove(path.bytes());
    }
    let workspace = raw(&place.workspace());
    for path in new.0.keys() {
        // Where a directory becomes a file, only directories may be left of it: files that are to be kept stay here, where
        // they cannot be, so that a deploy which is not refused then fails the comparison.
        if !new.0[path].is_directory() {
            all.retain(|there, (_, content)| content.is_some() || !TreePath::new(there.clone()).is_within(path));
        }
        all.insert(path.bytes().to_vec(), workspace[path.bytes()].clone());
    }
    let old: BTreeSet<&TreePath> = place.owned.iter().flat_map(|o| o.0.iter()).filter(|(_, e)| e.is_directory()).map(|(p, _)| p).collect();
    for directory in old.into_iter().rev() {
        let is_empty = !all.keys().any(|p| p != directory.bytes() && TreePath::new(p.clone()).is_within(directory));
        let is_directory = all.get(directory.bytes()).is_some_and(|(_, content)| content.is_none());
        if is_directory && is_empty && !new.0.contains_key(directory) && !place.rules.excluded(directory, true) {
            all.remove(directory.bytes());
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn production_becomes_what_was_staged_and_keeps_the_rest(releases in proptest::collection::vec((a_tree(), a_tree()), 1..4)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut place = Place::new();
            for (workspace, hand) in &releases {
                empty(&place.workspace());
                put_tree(&place.workspace(), workspace);
                // By hand in production, between two releases.
                put_tree(&place.production(), hand);
                let before = raw(&place.production());
                let (new, changes) = place.changes();
                let then = expected(&place, &before, &changes, &new);
                match place.deploy(&mut Vec::new()).await {
                    Ok(_) => assert_eq!(raw(&place.production()), then),
                    Err(failure) => {
                        assert!(failure.why.ends_with("Nothing was changed."), "{failure:?}");
                        let is_directory = |(mode, _): &(u32, Option<Vec<u8>>)| mode & 0o170_000 == 0o040_000;
                        let other = |(path, entry): (&TreePath, &Entry)| before.get(path.bytes()).is_some_and(|b| is_directory(b) != entry.is_directory());
                        assert!(new.0.iter().any(other), "refused with nothing in the way: {failure:?}");
                        assert_eq!(raw(&place.production()), before);
                    }
                }
            }
        });
    }
}

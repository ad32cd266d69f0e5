use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::manifest::Changes;
use crate::files::tests::{Place, Raw, Small, a_tree, at, empty, put, put_mode, put_tree, raw, wrapper};
use crate::files::transfer::{Promotion, promote};

impl Place {
    /// Where a release's tree lies.
    fn tree(&self, number: u32) -> PathBuf {
        self.dir.path().join(format!("data/releases/{number}/tree"))
    }

    async fn store(&self, source: &Path, number: u32, manifest: &Manifest, base: &[(PathBuf, Manifest)]) -> Result<Staged, Failure> {
        let staged = stage(source, &self.tree(number), manifest, base, "", &mut |_| {}, &CancellationToken::new()).await?;
        let all: Raw = raw(source).into_iter().filter(|(path, _)| manifest.0.contains_key(&TreePath::new(path.clone()))).collect();
        assert_eq!(raw(&self.tree(number)), all, "exactly what is listed");
        for path in manifest.0.iter().filter(|(_, entry)| !entry.is_directory()).map(|(path, _)| path) {
            assert_ne!(inode(&self.tree(number), path.bytes()), inode(source, path.bytes()), "{path} is shared with its source");
        }
        assert_eq!(staged.linked + staged.copied, manifest.files());
        Ok(staged)
    }

    /// Stores the workspace as it is now, with the one before as its base.
    async fn next(&self, number: u32) -> (Staged, Manifest) {
        let now = self.scan(&self.workspace());
        let base: Vec<_> = (number > 1).then(|| (self.tree(number - 1), self.scan(&self.tree(number - 1)))).into_iter().collect();
        (self.store(&self.workspace(), number, &now, &base).await.unwrap(), now)
    }

    fn shares(&self, path: &[u8], one: u32, other: u32) -> bool {
        inode(&self.tree(one), path) == inode(&self.tree(other), path)
    }
}

fn inode(root: &Path, path: &[u8]) -> u64 {
    at(root, path).symlink_metadata().unwrap().ino()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn what_is_the_same_lies_there_once() {
    let place = Place::new();
    let w = place.workspace();
    for name in [&b"same"[..], b"-rf", b"new\nline", b"\xff\\n[*]?", b"#;", b"content", b"mode", b"gone", b"owner"] {
        fs::write(at(&w, name), "one").unwrap();
    }
    put_mode(&w, "setuid", "x", 0o4755);
    symlink("same", w.join("link")).unwrap();
    put_mode(&w, "closed/deep/file", "x", 0o400);
    fs::create_dir(w.join("closed/empty")).unwrap();
    set_mode(&w.join("closed/deep"), 0o500);
    set_mode(&w.join("closed"), 0o555);
    set_mode(&w.join("closed/empty"), 0o2775);
    let (staged, _) = place.next(1).await;
    assert_eq!(staged, Staged { linked: 0, copied: 12 });

    fs::write(w.join("content"), "two").unwrap();
    set_mode(&w.join("mode"), 0o755);
    fs::remove_file(w.join("gone")).unwrap();
    put(&w, "new", "x");
    // It would come to production with the owner that it had.
    chown(w.join("owner"), Some(65534), Some(65534)).unwrap();
    let (staged, now) = place.next(2).await;
    for same in [&b"same"[..], b"-rf", b"new\nline", b"\xff\\n[*]?", b"#;", b"setuid", b"closed/deep/file"] {
        assert!(place.shares(same, 1, 2), "{}", TreePath::new(same));
    }
    for other in ["content", "mode", "owner", "link"] {
        assert!(!place.shares(other.as_bytes(), 1, 2), "{other}");
    }
    assert_eq!(staged, Staged { linked: 7, copied: 5 });
    assert_eq!(fs::metadata(place.tree(2).join("owner")).unwrap().uid(), 65534);
    assert_eq!(fs::metadata(w.join("same")).unwrap().nlink(), 1);

    // Once more over what is there, from two releases of which one is gone.
    let base = [(place.tree(9), now.clone()), (place.tree(1), place.scan(&place.tree(1))), (place.tree(2), now.clone())];
    let staged = place.store(&w, 3, &now, &base).await.unwrap();
    assert_eq!(staged, Staged { linked: 11, copied: 1 });
    assert!(place.shares(b"same", 1, 3) && place.shares(b"content", 2, 3));
    remove(place.tree(1).parent().unwrap()).unwrap();
    remove(place.tree(2).parent().unwrap()).unwrap();
    assert_eq!(place.scan(&place.tree(3)), now, "what other releases held on to stays");
}

#[tokio::test]
async fn what_is_no_longer_what_the_release_held_is_copied() {
    let place = Place::new();
    let w = place.workspace();
    let names = ["longer", "mode", "link", "directory", "gone", "below/file", "shared", "fine"];
    for name in names {
        put(&w, name, "one");
    }
    let (_, first) = place.next(1).await;
    let one = place.tree(1);
    put(&one, "longer", "more than one");
    set_mode(&one.join("mode"), 0o600);
    for name in ["link", "directory", "gone", "below/file", "shared"] {
        fs::remove_file(one.join(name)).unwrap();
    }
    symlink("fine", one.join("link")).unwrap();
    fs::create_dir(one.join("directory")).unwrap();
    fs::remove_dir(one.join("below")).unwrap();
    symlink(w.join("below"), one.join("below")).unwrap();
    fs::hard_link(w.join("shared"), one.join("shared")).unwrap();
    let staged = place.store(&w, 2, &first, &[(one, first.clone())]).await.unwrap();
    assert_eq!(staged, Staged { linked: 1, copied: 7 });
    // Nor is anything of the workspace's, whoever calls it a release.
    let staged = place.store(&w, 3, &first, &[(w.clone(), first.clone())]).await.unwrap();
    assert_eq!(staged, Staged { linked: 0, copied: 8 });
}

#[tokio::test]
async fn what_cannot_be_linked_is_copied() {
    let place = Place::new();
    fs::create_dir_all(place.tree(1)).unwrap();
    let _small = Small::mount(place.tree(1).parent().unwrap().to_owned()).await;
    put(&place.workspace(), "a", "x");
    let (_, first) = place.next(1).await;
    let staged = place.store(&place.workspace(), 2, &first, &[(place.tree(1), first.clone())]).await.unwrap();
    assert_eq!(staged, Staged { linked: 0, copied: 1 });
}

#[tokio::test]
async fn what_changes_meanwhile_is_named() {
    let place = Place::new();
    let w = place.workspace();
    let outside = place.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let fresh = || {
        empty(&w);
        for name in ["a", "b", "d/x", "d/y", "e/z"] {
            put(&w, name, "one");
        }
    };
    fresh();
    let (_, first) = place.next(1).await;
    let script = "cd \"$(cat \"$0.where\")\" && eval \"$(cat \"$0.what\")\"; exec rsync \"$@\"";
    let program = wrapper(&place, script).await;
    fs::write(place.dir.path().join("rsync-wrapper.where"), w.as_os_str().as_encoded_bytes()).unwrap();
    let never = CancellationToken::new();
    let mut all = String::new();
    for what in [
        "printf two > a",
        "chmod 600 a",
        "rm -f a b",
        "rm -rf a; mkdir a",
        "rm -rf d; echo >d",
        "rm -rf d; ln -s ../outside d",
        "rm -rf e; mkdir -m 700 e; printf one > e/z",
    ] {
        fresh();
        fs::write(place.dir.path().join("rsync-wrapper.what"), what).unwrap();
        let rsync = Rsync { program: &program, what: WHAT, limit: LIMIT, mark: "", cancel: &never };
        let failure = stage_with(&rsync, &w, &place.tree(2), &first, &[], &mut |_| {}).await.unwrap_err();
        assert_eq!(failure.what, "The workspace changed while it was copied.");
        all += &format!("{what}: {} {}\n", failure.why, failure.next);
        assert_eq!(raw(&outside), Raw::new());
    }
    expect_test::expect![[r#"
        printf two > a: What was copied is not what you confirmed: `a`. Ask for the deploy again when nobody writes to the workspace.
        chmod 600 a: What was copied is not what you confirmed: `a`. Ask for the deploy again when nobody writes to the workspace.
        rm -f a b: What was copied is not what you confirmed: `a`, `b`. Ask for the deploy again when nobody writes to the workspace.
        rm -rf a; mkdir a: What was copied is not what you confirmed: `a`. Ask for the deploy again when nobody writes to the workspace.
        rm -rf d; echo >d: What was copied is not what you confirmed: `d`, `d/x`, `d/y`. Ask for the deploy again when nobody writes to the workspace.
        rm -rf d; ln -s ../outside d: What was copied is not what you confirmed: `d`, `d/x`, `d/y`. Ask for the deploy again when nobody writes to the workspace.
        rm -rf e; mkdir -m 700 e; printf one > e/z: What was copied is not what you confirmed: `e`. Ask for the deploy again when nobody writes to the workspace.
    "#]].assert_eq(&all);

    // What is linked is not looked for: what was confirmed is there.
    fresh();
    fs::write(place.dir.path().join("rsync-wrapper.what"), "printf two > a").unwrap();
    let rsync = Rsync { program: &program, what: WHAT, limit: LIMIT, mark: "", cancel: &never };
    let base = [(place.tree(1), first.clone())];
    assert_eq!(stage_with(&rsync, &w, &place.tree(2), &first, &base, &mut |_| {}).await.unwrap().linked, 5);
    assert_eq!(place.scan(&place.tree(2)), first);
}

#[tokio::test]
async fn what_is_cancelled_leaves_nothing_in_the_way() {
    let place = Place::new();
    for name in ["a", "closed/b"] {
        put(&place.workspace(), name, "x");
    }
    set_mode(&place.workspace().join("closed"), 0o500);
    let (_, first) = place.next(1).await;
    put(&place.workspace(), "new", "x");
    let (base, now) = ([(place.tree(1), first)], place.scan(&place.workspace()));
    // Before it begins, and while rsync works.
    let begun = wrapper(&place, ": > \"$0.begun\"; sleep 300").await;
    for early in [true, false] {
        let cancel = CancellationToken::new();
        if early {
            cancel.cancel();
        }
        let rsync = Rsync { program: &begun, what: WHAT, limit: LIMIT, mark: "", cancel: &cancel };
        let (w, tree, mut ignore) = (place.workspace(), place.tree(2), |_: &str| {});
        let work = stage_with(&rsync, &w, &tree, &now, &base, &mut ignore);
        let cancelling = async {
            while !early && !place.dir.path().join("rsync-wrapper.begun").exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            cancel.cancel();
        };
        let (failure, ()) = tokio::join!(work, cancelling);
        assert_eq!(failure.unwrap_err().to_string(), "The workspace could not be copied aside. It was cancelled.");
    }
    assert_eq!(place.store(&place.workspace(), 2, &now, &base).await.unwrap(), Staged { linked: 2, copied: 1 });
}

#[tokio::test]
async fn nothing_comes_that_is_not_listed() {
    let place = Place::new();
    put(&place.workspace(), "d/x", "x");
    let mut part = place.scan(&place.workspace());
    part.to_mut().remove(&"d".into());
    let failure = place.store(&place.workspace(), 1, &part, &[]).await.unwrap_err();
    assert!(failure.why.ends_with("d/x` cannot be made: No such file or directory."), "{failure}");
    assert_eq!(place.store(&place.workspace(), 1, &Manifest::default(), &[]).await.unwrap(), Staged { linked: 0, copied: 0 });
}

#[test]
fn a_release_is_deleted_whole() {
    let dir = tempfile::tempdir().unwrap();
    let release = dir.path().join("releases/1");
    put_mode(&release, "tree/closed/file", "x", 0o400);
    put(&release, "manifest", "x");
    put(dir.path(), "elsewhere", "x");
    symlink(dir.path(), release.join("tree/link")).unwrap();
    set_mode(&release.join("tree/closed"), 0o000);
    let mut deep = release.join("tree");
    deep.extend(std::iter::repeat_n("d", crate::files::tree::DEPTH_MAX));
    fs::create_dir_all(&deep).unwrap();
    remove(&release).unwrap();
    assert_eq!(raw(dir.path()).into_keys().collect::<Vec<_>>(), [&b"elsewhere"[..], b"releases"]);
    remove(&release).unwrap();
    remove(&dir.path().join("nowhere/1")).unwrap();
    let failure = remove(&dir.path().join("elsewhere/1")).unwrap_err();
    assert!(failure.why.ends_with("elsewhere/1` could not be deleted: Not a directory."), "{failure}");
}

#[tokio::test]
async fn what_went_meanwhile_is_tried_twice_and_then_said() {
    let place = Place::new();
    put(&place.workspace(), "stays", "x");
    put(&place.workspace(), "goes", "x");
    let new = place.scan(&place.workspace());
    fs::remove_file(place.workspace().join("goes")).unwrap();
    let failure = place.staged(&new).await.unwrap_err();
    assert_eq!(failure.why, "What was copied is not what you confirmed: `goes`.");
    assert!(failure.lines.iter().any(|l| l.contains("goes")), "{failure:?}");

    put(&place.workspace(), "goes", "x");
    let once = wrapper(
        &place,
        "[ -e \"$0.once\" ] && exec rsync \"$@\"\n: > \"$0.once\"\ncat > /dev/null; echo 'file has vanished: \"x\"' >&2; exit 24",
    )
    .await;
    let cancel = CancellationToken::new();
    let rsync = Rsync { program: &once, what: WHAT, limit: LIMIT, mark: "", cancel: &cancel };
    stage_with(&rsync, &place.workspace(), &place.stage(), &new, &[], &mut |_| {}).await.unwrap();
    assert_eq!(place.scan(&place.stage()), new);
}

#[tokio::test]
async fn staging_starts_from_nothing() {
    let place = Place::new();
    put(&place.workspace(), "a", "x");
    put_mode(&place.stage(), "locked/leftover", "x", 0o400);
    fs::set_permissions(place.stage().join("locked"), fs::Permissions::from_mode(0o000)).unwrap();
    symlink(place.workspace(), place.stage().join("link")).unwrap();
    let new = place.scan(&place.workspace());
    place.staged(&new).await.unwrap();
    assert_eq!(raw(&place.stage()).into_keys().collect::<Vec<_>>(), [b"a"]);
    assert!(place.workspace().join("a").exists(), "a link in the stage leads nowhere");
    assert_eq!(fs::metadata(place.stage()).unwrap().mode() & 0o777, 0o700);

    let within = place.workspace().join("stage");
    let failure = stage(&place.workspace(), &within, &new, &[], "", &mut |_| {}, &CancellationToken::new()).await.unwrap_err();
    assert!(failure.why.ends_with("lie within each other."), "{failure}");
    let failure =
        stage(&place.stage(), &place.workspace().join(".."), &new, &[], "", &mut |_| {}, &CancellationToken::new()).await.unwrap_err();
    assert!(!failure.why.is_empty());
    assert!(place.workspace().join("a").exists());
}

#[tokio::test]
async fn what_keeps_rsync_from_working_is_said() {
    let place = Place::new();
    put(&place.workspace(), "a", "x");
    let new = place.scan(&place.workspace());
    let slow = wrapper(&place, "sleep 300").await;
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    let (never, limit) = (CancellationToken::new(), Duration::from_millis(100));
    let missing = place.dir.path().join("no-rsync");
    let tries = [(&missing, LIMIT, &never), (&slow, limit, &never), (&slow, LIMIT, &cancelled)];
    let mut all = String::new();
    for (program, limit, cancel) in tries {
        let rsync = Rsync { program, what: WHAT, limit, mark: "", cancel };
        let failure = stage_with(&rsync, &place.workspace(), &place.stage(), &new, &[], &mut |_| {}).await.unwrap_err();
        all += &format!("{failure} {}\n", failure.next);
    }
    expect_test::expect![[r#"
        The workspace could not be copied aside. rsync is not installed. Install it on the machine that runs dockmaster (apt install rsync) and ask again.
        The workspace could not be copied aside. rsync took longer than 100 ms and was ended. See whether the disk is slow or there is more than is meant, and ask again.
        The workspace could not be copied aside. It was cancelled. Ask again when it suits.
    "#]]
    .assert_eq(&all);
}

#[tokio::test]
async fn its_processes_carry_the_mark() {
    let place = Place::new();
    put(&place.workspace(), "a", "x");
    let new = place.scan(&place.workspace());
    let telling = wrapper(&place, "echo \"mark $DOCKMASTER_OPERATION\" >&2; exec rsync \"$@\"").await;
    let cancel = CancellationToken::new();
    let rsync = Rsync { program: &telling, what: WHAT, limit: LIMIT, mark: "m-1", cancel: &cancel };
    let mut lines = Vec::new();
    stage_with(&rsync, &place.workspace(), &place.stage(), &new, &[], &mut |l| lines.push(l.to_owned())).await.unwrap();
    assert_eq!(lines, ["mark m-1"]);
}

#[tokio::test]
async fn a_full_disk_ends_staging() {
    let place = Place::new();
    let _small = Small::mount(place.dir.path().join("data")).await;
    put(&place.workspace(), "big", &"x".repeat(2_000_000));
    let failure = place.staged(&place.scan(&place.workspace())).await.unwrap_err();
    assert_eq!(failure.to_string(), "The workspace could not be copied aside. The disk is full.");
}

/// Promotes a release's tree, as a deploy does.
async fn bring(place: &Place, number: u32, changes: &Changes, new: &Manifest, owned: Option<&Manifest>) -> Result<(), Failure> {
    let (stage, production) = (place.tree(number), place.production());
    let promotion =
        Promotion { stage: &stage, production: &production, changes, new, owned, rules: &place.rules, written: &[], mark: "", known: None };
    promote(&promotion, &mut |_| {}).await.map(drop)
}

#[tokio::test]
async fn directories_that_made_way_come_back() {
    let place = Place::new();
    let (w, p) = (place.workspace(), place.production());
    fs::create_dir_all(p.join("a/theirs/empty")).unwrap();
    set_mode(&p.join("a/theirs"), 0o2770);
    fs::create_dir_all(p.join("not-in-the-way")).unwrap();
    put(&p, "gone", "x");
    put(&w, "a", "x");
    let owned = Manifest::from_iter([("gone".into(), place.scan(&p).0[&"gone".into()].clone())]);
    let (new, there, before) = (place.scan(&w), place.scan(&p), raw(&p));
    let kept = at_stake(&there, &new, Some(&owned));
    assert_eq!(kept.0.keys().map(TreePath::written).collect::<Vec<_>>(), ["a", "a/theirs", "a/theirs/empty", "gone"]);
    place.store(&w, 1, &new, &[]).await.unwrap();
    place.store(&p, 2, &kept, &[]).await.unwrap();
    bring(&place, 1, &Changes::between(&there, &new, Some(&owned)), &new, Some(&owned)).await.unwrap();
    assert_eq!(raw(&p).into_keys().collect::<Vec<_>>(), [&b"a"[..], b"not-in-the-way"]);
    bring(&place, 2, &Changes::between(&place.scan(&p), &kept, Some(&new)), &kept, Some(&new)).await.unwrap();
    assert_eq!(raw(&p), before);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_kept_aside_brings_production_back(earlier in proptest::option::of(a_tree()), hand in a_tree(), workspace in a_tree()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let place = Place::new();
            let (w, p) = (place.workspace(), place.production());
            let (mut base, mut owned) = (Vec::new(), None);
            if let Some(earlier) = &earlier {
                put_tree(&w, earlier);
                let first = place.scan(&w);
                place.store(&w, 1, &first, &[]).await.unwrap();
                bring(&place, 1, &Changes::between(&Manifest::default(), &first, None), &first, None).await.unwrap();
                base.push((place.tree(1), first.clone()));
                owned = Some(first);
            }
            put_tree(&p, &hand);
            empty(&w);
            put_tree(&w, &workspace);

            let (new, there, before) = (place.scan(&w), place.scan(&p), raw(&p));
            place.store(&w, 2, &new, &base).await.unwrap();
            base.push((place.tree(2), new.clone()));
            let kept = at_stake(&there, &new, owned.as_ref());
            let staged = place.store(&p, 3, &kept, &base).await.unwrap();
            assert_eq!(staged.copied + staged.linked, kept.files());
            let changes = Changes::between(&there, &new, owned.as_ref());
            if let Err(failure) = bring(&place, 2, &changes, &new, owned.as_ref()).await {
                assert!(failure.why.ends_with("Nothing was changed."), "{failure:?}");
                assert_eq!(raw(&p), before);
                return;
            }
            let changes = Changes::between(&place.scan(&p), &kept, Some(&new));
            bring(&place, 3, &changes, &kept, Some(&new)).await.unwrap();
            assert_eq!(raw(&p), before);
        });
    }
}

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::*;

fn no_rules() -> Rules {
    Rules::new(&[], "", Vec::new()).unwrap()
}

fn plainly(root: &Path) -> Result<Scan, ScanError> {
    scan(root, &no_rules(), &CancellationToken::new())
}

fn write(root: &Path, name: &[u8], content: &[u8], mode: u32) {
    let path = root.join(std::ffi::OsStr::from_bytes(name));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_tree_is_read_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    write(root, b"run.sh", b"#!/bin/sh\n", 0o4755);
    write(root, b"-rf/new\nline \xff", b"x", 0o600);
    fs::create_dir(root.join("empty")).unwrap();
    fs::set_permissions(root.join("empty"), fs::Permissions::from_mode(0o2750)).unwrap();
    fs::set_permissions(root.join("-rf"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("-rf/x", root.join("inside")).unwrap();
    symlink("../-rf/../y", root.join("-rf/back")).unwrap();
    symlink("/etc/passwd", root.join("absolute")).unwrap();
    symlink("-rf/../../elsewhere", root.join("out")).unwrap();
    write(root, b".env", b"SECRET=1", 0o600);
    write(root, b"node_modules/a.js", b"", 0o644);
    std::os::unix::net::UnixListener::bind(root.join("sock")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, root.join("pipe"), FileType::Fifo, 0o600.into(), 0).unwrap();

    // The root may be reached through a link; nothing in it may.
    let link = dir.path().join("../").join(format!("{}-link", root.file_name().unwrap().to_str().unwrap()));
    symlink(root, &link).unwrap();
    let found = plainly(&link);
    fs::remove_file(&link).unwrap();
    let found = found.unwrap();

    let node = |node: &Node| match node {
        Node::Directory => "directory".to_owned(),
        Node::Link(target) => format!("-> {target}"),
        Node::File { hash, size } => format!("{} {size}", &hash[..8]),
    };
    let shown: String = found.manifest.0.iter().map(|(path, entry)| format!("{path} {:o} {}\n", entry.mode, node(&entry.node))).collect();
    expect_test::expect![[r#"
        `-rf` 755 directory
        `-rf/back` 0 -> `../-rf/../y`
        `-rf/new\x0aline \xff` 600 3ae7d805 1
        `absolute` 0 -> `/etc/passwd`
        `empty` 2750 directory
        `inside` 0 -> `-rf/x`
        `out` 0 -> `-rf/../../elsewhere`
        `run.sh` 4755 bc1f407a 10
    "#]]
    .assert_eq(&shown);
    assert_eq!(found.skipped, [("pipe".into(), "a named pipe".to_owned()), ("sock".into(), "a socket".to_owned())]);
    assert_eq!(found.escaping, ["absolute".into(), "out".into()]);
    assert_eq!(found.changing, []);

    let part = Manifest::from_iter(found.manifest.0.iter().filter(|(p, _)| p.bytes() != b"run.sh").map(|(p, e)| (p.clone(), e.clone())));
    assert_eq!(look_at(root, &part).unwrap(), part, "the same, of what is asked for");
}

#[test]
fn content_and_mode_decide_and_times_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let time = || {
        let file = fs::File::options().write(true).open(dir.path().join("a")).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
    };
    write(dir.path(), b"a", b"one", 0o644);
    let first = plainly(dir.path()).unwrap();
    time();
    assert_eq!(plainly(dir.path()).unwrap(), first);
    write(dir.path(), b"a", b"two", 0o644);
    time();
    let second = plainly(dir.path()).unwrap();
    assert_ne!(second, first, "the same size and time");
    write(dir.path(), b"a", b"two", 0o755);
    assert_ne!(plainly(dir.path()).unwrap(), second);
}

#[test]
fn what_comes_and_goes_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), b"stays", b"x", 0o644);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for name in ["a", "b", "d/c"] {
                    write(dir.path(), name.as_bytes(), b"x", 0o644);
                }
                let _ = fs::remove_dir_all(dir.path().join("d"));
                for name in ["a", "b"] {
                    let _ = fs::remove_file(dir.path().join(name));
                }
                symlink("stays", dir.path().join("d")).unwrap();
                fs::remove_file(dir.path().join("d")).unwrap();
            }
        });
        let failed =
            (0..300).map(|_| plainly(dir.path())).find(|s| s.as_ref().map_or(true, |s| !s.manifest.0.contains_key(&"stays".into())));
        stop.store(true, Ordering::Relaxed);
        assert_eq!(failed, None);
    });
}

#[test]
fn what_is_written_to_meanwhile_is_said() {
    use std::io::Write;
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), b"log", &vec![b'x'; 8_000_000], 0o644);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut log = fs::File::options().append(true).open(dir.path().join("log")).unwrap();
            while !stop.load(Ordering::Relaxed) {
                log.write_all(b"y").unwrap();
                // Bounded, however long it takes until somebody looks.
                if log.metadata().unwrap().len() > 16_000_000 {
                    log.set_len(8_000_000).unwrap();
                }
            }
        });
        let until = Instant::now() + Duration::from_secs(30);
        let mut seen = Vec::new();
        while seen.is_empty() && Instant::now() < until {
            seen = plainly(dir.path()).unwrap().changing;
        }
        stop.store(true, Ordering::Relaxed);
        assert_eq!(seen, ["log".into()]);
    });
}

#[test]
fn what_cannot_be_read_or_is_too_much_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let shown = |result: Result<Scan, ScanError>| result.unwrap_err().to_string();
    let missing = dir.path().join("missing");
    assert_eq!(shown(plainly(&missing)), format!("`{}` cannot be read: No such file or directory", missing.display()));
    write(dir.path(), b"a", b"", 0o644);
    let file = dir.path().join("a");
    assert_eq!(shown(plainly(&file)), format!("`{}` cannot be read: Not a directory", file.display()));
    for name in ["b", "c", "d"] {
        write(dir.path(), name.as_bytes(), b"", 0o644);
    }
    let at_most = |most| {
        let hashes = Hashes { cache: &HashCache::disabled(), now: 0 };
        scan_at_most(dir.path(), &no_rules(), hashes, &CancellationToken::new(), most)
    };
    assert_eq!(at_most(4).unwrap().manifest.0.len(), 4);
    assert_eq!(at_most(3), Err(ScanError::TooMany));
    assert_eq!(ScanError::TooMany.to_string(), "there are more than 1000000 files");
    write(dir.path(), b"e/f", b"", 0o644);
    assert_eq!(at_most(5), Err(ScanError::TooMany), "in all, not in each directory");

    let cancel = CancellationToken::new();
    cancel.cancel();
    assert_eq!(scan(dir.path(), &no_rules(), &cancel), Err(ScanError::Cancelled));

    let mut deep = dir.path().join("deep");
    deep.extend(std::iter::repeat_n("d", DEPTH_MAX + 1));
    fs::create_dir_all(&deep).unwrap();
    assert!(matches!(plainly(dir.path()), Err(ScanError::TooDeep { .. })));
}

#[test]
fn what_is_left_alone_is_not_even_opened() {
    let dir = tempfile::tempdir().unwrap();
    // A root may open anything, so the proof is a directory that is too deep to walk.
    let mut deep = dir.path().join("db");
    deep.extend(std::iter::repeat_n("d", DEPTH_MAX + 1));
    fs::create_dir_all(&deep).unwrap();
    write(dir.path(), b"uploads/x", b"", 0o644);
    write(dir.path(), b"a", b"", 0o644);
    let rules = Rules::new(&["uploads/".into()], "", vec!["db".into()]).unwrap();
    let found = scan(dir.path(), &rules, &CancellationToken::new()).unwrap();
    assert_eq!(found.manifest.0.keys().collect::<Vec<_>>(), [&TreePath::from("a")]);
}

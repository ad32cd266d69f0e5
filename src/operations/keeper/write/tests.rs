use super::*;
use std::os::unix::fs::symlink;

fn sources(main: &str, included: &[(&str, &str)]) -> Sources {
    let included = included.iter().map(|(name, text)| ((*name).to_owned(), Ok(text.as_bytes().to_vec()))).collect();
    Sources { main: main.into(), included }
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().canonicalize().unwrap();
    (place, root)
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn why_not(path: &Path) -> String {
    consider(path, &sources("new", &[])).map(|rewrites| rewrites.len()).unwrap_err()
}

#[test]
fn files_are_replaced_as_a_whole_and_stay_what_they_are() {
    let (_place, root) = place();
    let path = root.join("projects.json");
    fs::create_dir(root.join("d")).unwrap();
    for (name, text) in [("projects.json", "{}"), ("d/a.json", "old"), ("d/b.json", "same")] {
        fs::write(root.join(name), text).unwrap();
        fs::set_permissions(root.join(name), Permissions::from_mode(0o640)).unwrap();
    }
    let version = sources(r#"{"include":["d/*.json"]}"#, &[("d/a.json", "new"), ("d/b.json", "same")]);
    for round in ["", "2", "3"] {
        fs::write(root.join("d/a.json"), "old").unwrap();
        let rewrites = consider(&path, &version).unwrap();
        let shown: Vec<_> = rewrites.iter().map(Rewrite::shown).collect();
        assert_eq!(shown.last(), Some(&UntrustedText::path(&root.join("d/a.json"))));
        assert_eq!(shown.len(), if round.is_empty() { 2 } else { 1 }, "what is the same is left alone");
        all(&rewrites, true).unwrap();
        assert_eq!(Sources::read(&path).unwrap(), version);
        assert_eq!(text(&root.join(format!("d/.a.json~{round}"))), "old", "no copy takes another's place");
    }
    assert_eq!(fs::metadata(root.join("d/a.json")).unwrap().mode() & 0o7777, 0o640);
    assert!(consider(&path, &version).unwrap().is_empty());
    assert!(!root.join("d/.a.json.new").exists());
    // As it is named where dockmaster is started beside it, and with detours.
    assert!(consider(&root.join("d/../projects.json"), &version).unwrap().is_empty());
    // Names that are not those of the version.
    fs::write(root.join("d/c.json"), "").unwrap();
    assert!(consider(&path, &version).unwrap_err().ends_with("c.json` as well"));
    fs::remove_file(root.join("d/c.json")).unwrap();
    fs::remove_file(root.join("d/b.json")).unwrap();
    assert!(consider(&path, &version).unwrap_err().ends_with("b.json` is not there"));
}

#[test]
fn what_was_saved_meanwhile_is_not_lost_and_nothing_is_half_written() {
    let (_place, root) = place();
    let path = root.join("projects.json");
    let old = r#"{"include":["a.json","b.json"]}"#;
    let new = r#"{"include": ["a.json","b.json"]}"#;
    for (name, text) in [("projects.json", old), ("a.json", "old"), ("b.json", "old")] {
        fs::write(root.join(name), text).unwrap();
    }
    let rewrites = consider(&path, &sources(new, &[("a.json", "new"), ("b.json", "new")])).unwrap();
    fs::write(root.join("b.json"), "saved meanwhile").unwrap();
    assert!(all(&rewrites, true).unwrap_err().to_string().ends_with("b.json` was changed meanwhile"));
    assert_eq!([text(&path), text(&root.join("a.json")), text(&root.join("b.json"))], [old, "old", "saved meanwhile"]);
    // Where one cannot be written none is.
    fs::write(root.join("b.json"), "old").unwrap();
    fs::create_dir(root.join(".b.json.new")).unwrap();
    all(&rewrites, true).unwrap_err();
    assert_eq!([text(&path), text(&root.join("a.json")), text(&root.join("b.json"))], [old, "old", "old"]);
    fs::remove_dir(root.join(".b.json.new")).unwrap();
    let left: BTreeSet<_> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn where_it_was_cut_off_it_goes_on() {
    let (_place, root) = place();
    let path = root.join("projects.json");
    let version = sources(r#"{"include": ["a.json"]}"#, &[("a.json", "new")]);
    fs::write(&path, &version.main).unwrap();
    fs::write(root.join(".projects.json.new"), "came out of its place").unwrap();
    fs::write(root.join("a.json"), "old").unwrap();
    fs::write(root.join(".a.json.new"), "ne").unwrap();
    resume(&path, &version).unwrap();
    assert_eq!(Sources::read(&path).unwrap(), version);
    assert_eq!(text(&root.join(".projects.json~")), "came out of its place");
    resume(&path, &version).unwrap();
}

#[test]
fn what_is_somebody_elses_is_left_alone() {
    let (_place, root) = place();
    let path = root.join("projects.json");
    fs::write(root.join("real.json"), "old").unwrap();
    symlink("real.json", &path).unwrap();
    assert!(why_not(&path).ends_with("projects.json` is a link"));
    fs::create_dir(root.join("..2026")).unwrap();
    fs::write(root.join("..2026/projects.json"), "old").unwrap();
    symlink("..2026", root.join("settings")).unwrap();
    assert!(why_not(&root.join("settings/projects.json")).ends_with("is reached through a link"));
    let plain = root.join("plain.json");
    fs::write(&plain, "old").unwrap();
    fs::hard_link(&plain, root.join("other")).unwrap();
    assert!(why_not(&plain).ends_with("has another name"));
    fs::remove_file(root.join("other")).unwrap();
    fs::set_permissions(&plain, Permissions::from_mode(0o444)).unwrap();
    assert!(why_not(&plain).ends_with("is read-only"));
    fs::set_permissions(&plain, Permissions::from_mode(0o644)).unwrap();
    assert_eq!(consider(&plain, &sources("new", &[])).unwrap().len(), 1);
    // Neither is opened, which might never end.
    let pipe = root.join("pipe");
    rustix::fs::mknodat(CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR, 0).unwrap();
    assert!(why_not(&pipe).ends_with("is no file"));
    let large = root.join("large");
    File::create(&large).unwrap().set_len(20 << 30).unwrap();
    assert!(why_not(&large).ends_with("is too large"));
    assert_eq!(text(&plain), "old");
}

#[test]
fn access_lists_are_left_alone() {
    /// Owner, one more user, group, mask and others, as the kernel has them: version, then tag, rights and id of each.
    fn list(other: u32) -> Vec<u8> {
        let entries = [(1_u16, 6_u16, u32::MAX), (2, 6, other), (4, 4, u32::MAX), (16, 6, u32::MAX), (32, 0, u32::MAX)];
        let entry = |(tag, rights, id): (u16, u16, u32)| [&tag.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat();
        [2_u32.to_le_bytes().to_vec(), entries.into_iter().flat_map(entry).collect()].concat()
    }
    let set = |path: &Path, name: &str| rustix::fs::setxattr(path, name, &list(65_534), rustix::fs::XattrFlags::empty()).unwrap();
    let (_place, root) = place();
    let path = root.join("projects.json");
    fs::write(&path, "old").unwrap();
    set(&root, "system.posix_acl_default");
    assert!(why_not(&path).ends_with("is in a directory that gives new files an access list"));
    rustix::fs::removexattr(&root, "system.posix_acl_default").unwrap();
    assert_eq!(consider(&path, &sources("new", &[])).unwrap().len(), 1);
    set(&path, "system.posix_acl_access");
    assert!(why_not(&path).ends_with("has an access list"));
}

//! The ways in which people and their tools save a file.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

/// A way to save `projects.json`: it gets the directory, the text, and a number that no other save of this directory has.
pub(crate) type Save = (&'static str, fn(&Path, &str, usize));

/// All of them.
pub(crate) const KINDS: [Save; 5] = [
    ("in place", |directory, text, _| fs::write(directory.join("projects.json"), text).unwrap()),
    ("in several writes", |directory, text, _| {
        let mut file = File::create(directory.join("projects.json")).unwrap();
        for part in text.as_bytes().chunks(text.len().div_ceil(5).max(1)) {
            file.write_all(part).unwrap();
            sleep(Duration::from_millis(5));
        }
    }),
    RENAMED,
    ("deleted and made again", |directory, text, _| {
        let _ = fs::remove_file(directory.join("projects.json"));
        sleep(Duration::from_millis(20));
        fs::write(directory.join("projects.json"), text).unwrap();
    }),
    // As orchestrators mount settings: a link to a directory of a version, and one to the file in it.
    ("behind a link that is swapped", |directory, text, number| {
        let (version, link, file) = (format!("..{number}"), directory.join("..data"), directory.join("projects.json"));
        let before = fs::read_link(&link);
        fs::create_dir(directory.join(&version)).unwrap();
        fs::write(directory.join(&version).join("projects.json"), text).unwrap();
        symlink(&version, directory.join("..next")).unwrap();
        fs::rename(directory.join("..next"), &link).unwrap();
        if !file.is_symlink() {
            let _ = fs::remove_file(&file);
            symlink("..data/projects.json", &file).unwrap();
        }
        if let Ok(before) = before {
            fs::remove_dir_all(directory.join(before)).unwrap();
        }
    }),
];

/// As most editors do.
pub(crate) const RENAMED: Save = ("renamed over", |directory, text, _| {
    fs::write(directory.join(".projects.json.swp"), text).unwrap();
    fs::rename(directory.join(".projects.json.swp"), directory.join("projects.json")).unwrap();
});

/// As `touch` does.
pub(crate) fn touch(directory: &Path) {
    let file = File::options().append(true).open(directory.join("projects.json")).unwrap();
    let before = file.metadata().unwrap().modified().unwrap();
    file.set_modified(before + Duration::from_secs(1)).unwrap();
}

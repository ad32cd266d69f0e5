//! The configuration as a whole: good files, bad files, random files, and the schema against the readers.

use std::path::{Path, PathBuf};

use super::{Checked, OnDisk, Problem, Rights, check};

mod agreement;
mod bad;
mod cut;
mod disk;
mod good;
mod included;
mod random;
mod selectors;
mod services;

/// The example at the top of the repository.
const EXAMPLE: &str = include_str!("../../../projects.example.json");

/// A file that is for us alone.
const FILE: OnDisk = OnDisk::File(Rights { readable: true, executable: false, open: false });
/// A program.
const PROGRAM: OnDisk = OnDisk::File(Rights { readable: true, executable: true, open: true });

/// A disk on which every directory exists that has no dot in its name, every file that ends in `.yml`, `.env`, `.txt` or
/// `.json`, and every program in a directory called `bin`.
fn plenty(path: &Path) -> OnDisk {
    match path.extension() {
        None if path.parent().is_some_and(|parent| parent.ends_with("bin")) => PROGRAM,
        None => OnDisk::Directory(path.to_owned()),
        Some(ext) if ["yml", "env", "txt", "json"].iter().any(|known| ext == *known) => FILE,
        Some(_) => OnDisk::Missing,
    }
}

/// A disk with these directories, and these files.
fn holding(directories: &[&str], files: &[&str]) -> impl Fn(&Path) -> OnDisk {
    let paths = |list: &[&str]| list.iter().map(PathBuf::from).collect::<Vec<_>>();
    let (directories, files) = (paths(directories), paths(files));
    move |path| match () {
        () if files.iter().any(|f| f == path) => FILE,
        () if directories.iter().any(|d| d.starts_with(path)) => OnDisk::Directory(path.to_owned()),
        () => OnDisk::Missing,
    }
}

/// What a check told, a line each.
fn told(checked: &Checked) -> String {
    let problems = checked.problems.iter().map(|p| format!("{p}\n"));
    problems.chain(checked.warnings.iter().map(|w| format!("warning {w}\n"))).collect()
}

/// What a text is told on a plentiful disk.
fn answer(text: &str) -> String {
    let checked = check(text, &plenty);
    assert_eq!(checked.configuration.is_some(), checked.problems.is_empty());
    told(&checked)
}

/// A problem has a place in this text, or right behind its end.
#[track_caller]
fn placed(problem: &Problem, text: &str) {
    let line = problem.line.checked_sub(1).and_then(|before| text.split('\n').nth(before));
    assert!(line.is_some_and(|line| (1..=line.chars().count() + 1).contains(&problem.column)), "{problem}: {text}");
}

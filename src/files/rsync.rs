//! rsync: its arguments, its output and what its exit codes mean. Pure but for [`is_installed`].

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::domain::failure::Failure;
use crate::domain::manifest::TreePath;

/// The program.
pub const PROGRAM: &str = "rsync";

/// What sets a line about a file apart from what rsync has to say.
const MARK: &str = "= ";

/// What both ways of copying have in common: exactly the listed paths (standard input, each ended by a zero byte), links
/// as links, with permissions and owner. Nothing is followed, nothing below a directory comes along, and a directory that
/// is not listed is left as it is.
const COMMON: [&str; 10] = [
    "--files-from=-",
    "--from0",
    "--no-implied-dirs",
    "--no-recursive",
    "--links",
    "--perms",
    "--owner",
    "--group",
    "--numeric-ids",
    "--8-bit-output",
];

/// The arguments that copy the listed paths from `from` into the staging directory `to`. Both are absolute. Nothing is
/// there to compare with, so that every file is read once, and the copy is read back afterwards.
pub fn staging(from: &Path, to: &Path) -> Vec<OsString> {
    let mut args: Vec<OsString> = COMMON.iter().map(OsString::from).collect();
    // Harmless there, and a build that looks at times finds those of the workspace.
    args.push("--times".into());
    args.extend(ends(from, to));
    args
}

/// The arguments that bring the listed paths from the staging directory into production. Both are absolute, and so is
/// `scratch`, a directory of ours on production's file system. Everything waits under other names until all of it is
/// there, and then is renamed. Times are not taken over: a file is as new as its arrival, so that nobody who goes by its
/// age (a browser's cache, Python's) takes a rolled back file for the one that they know.
pub fn promotion(from: &Path, to: &Path, scratch: &Path) -> Vec<OsString> {
    let mut args: Vec<OsString> = COMMON.iter().map(OsString::from).collect();
    // By content: size and time prove nothing.
    args.push("--checksum".into());
    args.push("--delay-updates".into());
    let mut scratch_option = OsString::from("--temp-dir=");
    scratch_option.push(scratch);
    args.push(scratch_option);
    args.push(format!("--out-format={MARK}%i %n").into());
    args.extend(ends(from, to));
    args
}

/// The arguments that copy all that is in one directory of ours into another, as it is: what is one file under several names
/// stays one. Names at the top that are `but` for those stay behind. Both are absolute.
pub fn whole(from: &Path, to: &Path, but: &[&str]) -> Vec<OsString> {
    let mut args: Vec<OsString> = WHOLE.iter().map(OsString::from).collect();
    args.extend(but.iter().map(|name| format!("--exclude=/{name}").into()));
    args.extend(ends(from, to));
    args
}

/// The arguments that say what of that is not the same, by content, and change nothing.
pub fn differences(from: &Path, to: &Path, but: &[&str]) -> Vec<OsString> {
    let look = ["--dry-run", "--checksum", "--delete", "--out-format"];
    let mut args: Vec<OsString> = look.iter().map(OsString::from).collect();
    args.push(format!("{MARK}%i %n").into());
    args.extend(whole(from, to, but));
    args
}

/// What [`whole`] copies and how. Times of directories are those of the copying.
const WHOLE: [&str; 9] =
    ["--recursive", "--links", "--hard-links", "--perms", "--times", "--omit-dir-times", "--owner", "--group", "--numeric-ids"];

/// The two ends. The slashes mean "what is in it"; an absolute path is never taken for a remote one or for an option.
fn ends(from: &Path, to: &Path) -> [OsString; 3] {
    let within = |path: &Path| {
        let mut text = path.as_os_str().to_owned();
        text.push("/");
        text
    };
    [OsStr::new("--").to_owned(), within(from), within(to)]
}

/// The list of paths for standard input. Each begins with `./`: a name may begin with `#` or `;`, which would make it a
/// comment even there.
pub fn list<'a>(paths: impl IntoIterator<Item = &'a TreePath>) -> Vec<u8> {
    let mut list = Vec::new();
    for path in paths {
        list.extend_from_slice(b"./");
        list.extend_from_slice(path.bytes());
        list.push(0);
    }
    list
}

/// The file that a line of output is about, where it is about one that was brought. Names are for showing: rsync escapes
/// control characters.
pub fn parse_line(line: &str) -> Option<&str> {
    let (what, name) = line.strip_prefix(MARK)?.split_once(' ')?;
    // The first letter is the kind of update, the second the kind of thing.
    let mut letters = what.chars();
    let (update, thing) = (letters.next()?, letters.next()?);
    (matches!(update, '>' | '<' | 'c' | '.' | 'h') && thing != 'd').then_some(name)
}

/// What a line of [`differences`] is about, of whatever kind.
pub fn parse_difference(line: &str) -> Option<&str> {
    Some(line.strip_prefix(MARK)?.split_once(' ')?.1.trim_start())
}

/// Whether a line is about a file and not what rsync has to say.
pub fn is_about_a_file(line: &str) -> bool {
    line.starts_with(MARK)
}

/// Whether it failed only because something went while it was copied: worth one more try.
pub fn vanished(code: Option<i32>, said: &[String]) -> bool {
    // Where a path was listed, rsync calls it partial (23), else vanished (24).
    let errors = said.iter().filter(|line| !is_summary(line));
    code == Some(24) || (code == Some(23) && said.iter().any(|l| is_missing(l)) && errors.into_iter().all(|l| is_missing(l)))
}

/// Whether it went through to its end, and only some of what was listed did not come along.
pub fn is_partial(code: Option<i32>) -> bool {
    matches!(code, Some(23 | 24))
}

fn is_missing(line: &str) -> bool {
    line.contains("No such file or directory (2)") || line.contains("has vanished: ")
}

fn is_summary(line: &str) -> bool {
    line.starts_with("rsync error:") || line.starts_with("rsync warning:")
}

/// What an exit code and what rsync said mean, for people. `what` failed.
pub fn failure(what: &str, code: Option<i32>, said: &[String]) -> Failure {
    let heard = |needle: &str| said.iter().any(|line| line.contains(needle));
    // The cause that the system named comes first: the code only says how rsync ended.
    let (why, next) = if heard("No space left on device (28)") {
        ("The disk is full.".to_owned(), "Make room and ask again.")
    } else if heard("Disk quota exceeded (122)") {
        ("The disk quota is used up.".to_owned(), "Make room and ask again.")
    } else if heard("Read-only file system (30)") {
        ("The file system is read-only.".to_owned(), "Make it writable and ask again.")
    } else if heard("Permission denied (13)") || heard("Operation not permitted (1)") {
        ("dockmaster may not write or read there.".to_owned(), "Give its user the right to (see the lines), and ask again.")
    } else if vanished(code, said) {
        ("Files went while they were copied.".to_owned(), "Ask again when nobody writes to the workspace.")
    } else {
        explain(code)
    };
    Failure::new(what, why, next).with_lines(said.iter().cloned())
}

fn explain(code: Option<i32>) -> (String, &'static str) {
    let again = "See the lines, mend it and ask again.";
    match code {
        None | Some(20) => ("rsync was ended from outside.".to_owned(), "Ask again."),
        Some(1 | 2 | 4) => ("This rsync does not know what is asked of it.".to_owned(), "Install rsync 3.1 or later and ask again."),
        Some(3) => ("rsync could not open the directories.".to_owned(), again),
        Some(11) => ("rsync could not read or write a file.".to_owned(), again),
        Some(10 | 12 | 13 | 14) => ("rsync broke off in the middle.".to_owned(), again),
        Some(22) => ("There is too little memory for rsync.".to_owned(), "Free some memory and ask again."),
        Some(23) => ("rsync could not copy everything.".to_owned(), again),
        Some(25) => ("rsync would have deleted too much.".to_owned(), again),
        Some(30 | 35) => ("rsync waited too long.".to_owned(), "Ask again."),
        Some(126 | 127) => (missing_why(), MISSING_NEXT),
        Some(code) => (format!("rsync ended with code {code}."), again),
    }
}

fn missing_why() -> String {
    "rsync is not installed.".to_owned()
}

const MISSING_NEXT: &str = "Install it on the machine that runs dockmaster (apt install rsync) and ask again.";

/// Whether it is in one of the directories of a `PATH`.
pub fn is_installed(path: &OsStr) -> bool {
    std::env::split_paths(path).any(|directory| directory.join(PROGRAM).is_file())
}

/// There is no rsync.
pub fn missing(what: &str) -> Failure {
    Failure::new(what, missing_why(), MISSING_NEXT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_hold_any_name() {
        let paths = [TreePath::from("#a"), TreePath::from("-rf/--x"), TreePath::new(*b"new\nline\xff")];
        assert_eq!(list(&paths), b"./#a\0./-rf/--x\0./new\nline\xff\0");
    }

    #[test]
    fn paths_come_last_and_are_no_options() {
        let args = promotion(Path::new("/data/-x"), Path::new("/srv/a:b"), Path::new("/srv/a:b/tmp"));
        let tail: Vec<&str> = args[args.len() - 4..].iter().map(|a| a.to_str().unwrap()).collect();
        assert_eq!(tail, ["--out-format== %i %n", "--", "/data/-x/", "/srv/a:b/"]);
    }

    #[test]
    fn lines_about_files_are_told_from_the_rest() {
        assert_eq!(parse_line("= >f+++++++++ a b.txt"), Some("a b.txt"));
        assert_eq!(parse_line("= cLc.t...... link"), Some("link"));
        assert_eq!(parse_line("= .f...p..... run.sh"), Some("run.sh"));
        assert_eq!(parse_line("= cd+++++++++ sub/"), None);
        assert_eq!(parse_line("rsync: [sender] link_stat \"/w/x\" failed: No such file or directory (2)"), None);
        assert_eq!(parse_line("= "), None);
    }

    #[test]
    fn every_end_has_its_sentence() {
        let say = |code: Option<i32>, said: &[&str]| {
            let said: Vec<String> = said.iter().map(|s| (*s).to_owned()).collect();
            let failure = failure("The files were not copied.", code, &said);
            format!("{:?}: {} {}\n", code, failure.why, failure.next)
        };
        let mut all = String::new();
        for code in
            [None, Some(1), Some(3), Some(11), Some(12), Some(20), Some(22), Some(23), Some(24), Some(25), Some(30), Some(99), Some(127)]
        {
            all += &say(code, &[]);
        }
        let io = "rsync error: error in file IO (code 11) at receiver.c(380) [receiver=3.2.7]";
        all += &say(Some(11), &["rsync: [receiver] write failed on \"/s/x\": No space left on device (28)", io]);
        all += &say(
            Some(23),
            &["rsync: [receiver] mkstemp \"/s/.x.Ab\" failed: Permission denied (13)", "rsync error: some files/attrs (code 23)"],
        );
        all += &say(Some(23), &["rsync: [sender] link_stat \"/w/x\" failed: No such file or directory (2)", "rsync error: some (code 23)"]);
        all += &say(Some(11), &["rsync: [receiver] mkdir \"/s/d\" failed: Read-only file system (30)"]);
        expect_test::expect![[r#"
            None: rsync was ended from outside. Ask again.
            Some(1): This rsync does not know what is asked of it. Install rsync 3.1 or later and ask again.
            Some(3): rsync could not open the directories. See the lines, mend it and ask again.
            Some(11): rsync could not read or write a file. See the lines, mend it and ask again.
            Some(12): rsync broke off in the middle. See the lines, mend it and ask again.
            Some(20): rsync was ended from outside. Ask again.
            Some(22): There is too little memory for rsync. Free some memory and ask again.
            Some(23): rsync could not copy everything. See the lines, mend it and ask again.
            Some(24): Files went while they were copied. Ask again when nobody writes to the workspace.
            Some(25): rsync would have deleted too much. See the lines, mend it and ask again.
            Some(30): rsync waited too long. Ask again.
            Some(99): rsync ended with code 99. See the lines, mend it and ask again.
            Some(127): rsync is not installed. Install it on the machine that runs dockmaster (apt install rsync) and ask again.
            Some(11): The disk is full. Make room and ask again.
            Some(23): dockmaster may not write or read there. Give its user the right to (see the lines), and ask again.
            Some(23): Files went while they were copied. Ask again when nobody writes to the workspace.
            Some(11): The file system is read-only. Make it writable and ask again.
        "#]]
        .assert_eq(&all);
    }
}

//! Reading the log of a process, while its keeper writes and renames the files.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::super::loglines::{RawLine, split_time};
use super::log::{FILES, file};

/// The most that is read at a time.
const CHUNK: usize = 256 * 1024;

/// Reads a log from some line on, and what is written to it after that.
#[derive(Debug)]
pub(super) struct Tail {
    directory: PathBuf,
    /// The file that is read, and how far.
    at: Option<(File, u64)>,
    since: Option<i64>,
}

/// The files of a log, newest first. One that is renamed while they are opened is not taken twice.
fn files(directory: &Path) -> io::Result<Vec<File>> {
    let mut found: Vec<(u64, File)> = Vec::new();
    for number in 0..FILES {
        match File::open(file(directory, number)) {
            Ok(file) => {
                let inode = file.metadata()?.ino();
                if found.iter().all(|(known, _)| *known != inode) {
                    found.push((inode, file));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found.into_iter().map(|(_, file)| file).collect())
}

impl Tail {
    /// The last lines, of those since some time (in seconds since the epoch); and what reads on from there. Blocks.
    pub(super) fn last(directory: &Path, lines: usize, since: Option<i64>) -> io::Result<(Vec<RawLine>, Self)> {
        let mut tail = Self { directory: directory.to_owned(), at: None, since };
        let mut last: VecDeque<RawLine> = VecDeque::new();
        for (number, mut file) in files(directory)?.into_iter().enumerate() {
            let mut text = Vec::new();
            if number == 0 || last.len() < lines {
                file.read_to_end(&mut text)?;
            }
            let whole = whole(&text);
            let older = whole.split(|b| *b == b'\n').rev().skip(1);
            for line in older.map(raw).take_while(|line| tail.is_meant(line)) {
                if last.len() == lines {
                    break;
                }
                last.push_front(line);
            }
            if number == 0 {
                tail.at = Some((file, whole.len() as u64));
            }
        }
        Ok((last.into(), tail))
    }

    /// Some of the lines that were written since; none where there are none yet. Blocks.
    pub(super) fn more(&mut self) -> io::Result<Vec<RawLine>> {
        loop {
            let Some((file, from)) = &mut self.at else {
                // It begins with the first file that there is.
                match files(&self.directory)?.pop() {
                    Some(file) => self.at = Some((file, 0)),
                    None => return Ok(Vec::new()),
                }
                continue;
            };
            let mut text = vec![0; CHUNK];
            let read = file.read_at(&mut text, *from)?;
            let read = whole(&text[..read]).len();
            *from += read as u64;
            if read > 0 {
                let lines = text[..read - 1].split(|b| *b == b'\n').map(raw).filter(|line| self.is_meant(line));
                return Ok(lines.collect());
            }
            if !self.advance()? {
                return Ok(Vec::new());
            }
        }
    }

    /// Goes on to the next newer file, where there is one.
    fn advance(&mut self) -> io::Result<bool> {
        let Some((file, _)) = &self.at else { return Ok(false) };
        let inode = file.metadata()?.ino();
        let mut newer: Option<File> = None;
        for file in files(&self.directory)? {
            if file.metadata()?.ino() == inode {
                break;
            }
            newer = Some(file);
        }
        let Some(newer) = newer else { return Ok(false) };
        // It was written until it was renamed, and that may have been since it was read.
        if !self.has_more()? {
            self.at = Some((newer, 0));
        }
        Ok(true)
    }

    /// Whether there is a whole line that was not read yet.
    fn has_more(&self) -> io::Result<bool> {
        let Some((file, from)) = &self.at else { return Ok(false) };
        let mut text = vec![0; CHUNK];
        let read = file.read_at(&mut text, *from)?;
        Ok(!whole(&text[..read]).is_empty())
    }

    fn is_meant(&self, line: &RawLine) -> bool {
        self.since.is_none_or(|since| line.at.is_none_or(|at| at >= since.saturating_mul(1_000)))
    }
}

/// The part of a text that ends with a line's end.
fn whole(text: &[u8]) -> &[u8] {
    &text[..text.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1)]
}

fn raw(line: &[u8]) -> RawLine {
    let (at, text) = split_time(line);
    // It was cleaned before it was written.
    RawLine { at, text: String::from_utf8_lossy(text).into_owned(), frames: 1 }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::log::Log;
    use super::*;

    fn texts(lines: Vec<RawLine>) -> Vec<String> {
        lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn half_a_line_is_waited_for_and_no_file_is_left_out() {
        let place = tempfile::tempdir().unwrap();
        let (none, mut early) = Tail::last(place.path(), 5, None).unwrap();
        assert_eq!((none, early.more().unwrap()), (vec![], vec![]));
        let mut log = Log::new(place.path());
        let mut write = |line: &str| {
            log.add(1_500, line);
            log.flush(1_500);
        };
        write("one");
        let (last, mut tail) = Tail::last(place.path(), 5, None).unwrap();
        assert_eq!((last[0].at, last[0].text.as_str()), (Some(1_500), "one"));
        write("two");
        // As one that is just being written.
        let newest = file(place.path(), 0);
        let text = fs::read_to_string(&newest).unwrap();
        fs::write(&newest, format!("{text}1970-01-01T00:00:02Z ha")).unwrap();
        assert_eq!(texts(tail.more().unwrap()), ["two"]);
        assert_eq!(tail.more().unwrap(), []);
        fs::write(&newest, format!("{text}1970-01-01T00:00:02Z half\n")).unwrap();
        assert_eq!(texts(tail.more().unwrap()), ["half"]);
        // Twice renamed since, once with something that was not read.
        fs::write(&newest, format!("{text}1970-01-01T00:00:02Z half\n1970-01-01T00:00:03Z late\n")).unwrap();
        fs::rename(&newest, file(place.path(), 2)).unwrap();
        fs::write(file(place.path(), 1), "1970-01-01T00:00:04Z between\n").unwrap();
        fs::write(&newest, "1970-01-01T00:00:05Z newest\n").unwrap();
        for expected in ["late", "between", "newest"] {
            assert_eq!(texts(tail.more().unwrap()), [expected]);
        }
        assert_eq!(tail.more().unwrap(), []);
        let all = ["one", "two", "half", "late", "between", "newest"];
        assert_eq!(texts(early.more().unwrap()), all[..4], "one that came before there was any begins with the oldest");
        for lines in 1..=all.len() {
            assert_eq!(texts(Tail::last(place.path(), lines, None).unwrap().0), all[all.len() - lines..]);
        }
        assert_eq!(texts(Tail::last(place.path(), 9, Some(3)).unwrap().0), ["late", "between", "newest"]);
    }
}

//! The log of a process: lines with their times, in files of bounded size and number.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::place::own;
use crate::domain::Millis;

/// The name of the file that is written; older ones have a number at the end, the oldest the highest.
const NAME: &str = "log";
/// How large a file gets, in bytes.
const FILE_MAX: u64 = 2 * 1024 * 1024;
/// How many files there are.
pub(super) const FILES: usize = 5;

/// The log of a process, as its keeper writes it. A disk that takes no more stops nobody: lines are dropped and counted.
#[derive(Debug)]
pub(super) struct Log {
    directory: PathBuf,
    file: Option<File>,
    size: u64,
    /// Lines that are still to be written, and how many they are.
    waiting: Vec<u8>,
    lines: u64,
    /// How many could not be written since one was.
    lost: u64,
}

/// Where one of the files is, the newest being number 0.
pub(super) fn file(directory: &Path, number: usize) -> PathBuf {
    directory.join(if number == 0 { NAME.to_owned() } else { format!("{NAME}.{number}") })
}

impl Log {
    /// Goes on with what is there.
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), file: None, size: 0, waiting: Vec::new(), lines: 0, lost: 0 }
    }

    /// Takes a line in, which must be clean; it is written by [`Log::flush`].
    pub(super) fn add(&mut self, at: Millis, line: &str) {
        let time = jiff::Timestamp::from_millisecond(at).unwrap_or_default();
        // Into memory it cannot fail.
        let _ = writeln!(self.waiting, "{time:.3} {line}");
        self.lines += 1;
    }

    /// Writes what was taken in.
    pub(super) fn flush(&mut self, at: Millis) {
        if self.lines == 0 {
            return;
        }
        let (text, lines) = (std::mem::take(&mut self.waiting), std::mem::take(&mut self.lines));
        if self.lost > 0 {
            let lost = self.lost;
            self.add(at, &format!("dockmaster: {lost} lines were lost here, because they could not be written down"));
            self.lines = 0;
            let told = std::mem::take(&mut self.waiting);
            if self.write(&told).is_ok() {
                self.lost = 0;
            }
        }
        if self.lost > 0 || self.write(&text).is_err() {
            self.lost += lines;
        }
        // What one long line needed is not kept for all others.
        self.waiting = text;
        self.waiting.clear();
        self.waiting.shrink_to(64 * 1024);
    }

    /// Writes all of it or nothing.
    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        if self.size > 0 && self.size + text.len() as u64 > FILE_MAX {
            self.rotate()?;
        }
        let (file, size) = match &mut self.file {
            Some(file) => (file, &mut self.size),
            None => {
                let file = own().append(true).open(self::file(&self.directory, 0))?;
                self.size = file.metadata()?.len();
                (self.file.insert(file), &mut self.size)
            }
        };
        let written = file.write_all(text);
        match &written {
            Ok(()) => *size += text.len() as u64,
            // Half a line would be taken for a whole one. Where that cannot be mended either, it is opened and measured anew.
            Err(_) => {
                if file.set_len(*size).is_err() {
                    self.file = None;
                }
            }
        }
        written
    }

    /// Needs no room on the disk: it makes some.
    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..FILES).rev() {
            match std::fs::rename(file(&self.directory, number - 1), file(&self.directory, number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        (self.file, self.size) = (None, 0);
        Ok(())
    }
}

//! The engine's log frames put together to lines of bounded length.

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde::{Deserialize, Serialize};

use super::docker::EngineError;
use crate::domain::Millis;
use crate::domain::redact::{LINE_MAX, clean_line};

/// One line of a log, fit to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawLine {
    /// When it was written, as the engine noted it.
    pub at: Option<Millis>,
    /// The line, cleaned and bounded.
    pub text: String,
    /// Over how many frames it was spread: the engine counts these where lines are asked for.
    #[serde(skip)]
    pub frames: usize,
}

/// Puts frames together. The engine cuts what is longer than 16 KB into frames of their own, each with its time in
/// front; a terminal's frames end anywhere. What is longer than [`LINE_MAX`] bytes is dropped as it comes, so that a line
/// of a gigabyte takes no more room than any other.
#[derive(Debug)]
pub(super) struct Assembler {
    tty: bool,
    line: Vec<u8>,
    at: Option<Millis>,
    dropped: usize,
    frames: usize,
    open: bool,
}

impl Assembler {
    /// For the log of a container with or without a terminal.
    pub(super) fn new(tty: bool) -> Self {
        Self { tty, line: Vec::new(), at: None, dropped: 0, frames: 0, open: false }
    }

    /// Lines from frames.
    pub(super) fn lines<S>(mut self, frames: S) -> impl Stream<Item = Result<RawLine, EngineError>> + Send + 'static
    where
        S: Stream<Item = Result<Bytes, EngineError>> + Send + 'static,
    {
        // The end of the stream ends the last line, too.
        let frames = frames.map(Some).chain(futures_util::stream::iter([None]));
        frames.flat_map(move |frame| {
            let lines: Vec<Result<RawLine, EngineError>> = match frame {
                Some(Ok(frame)) => self.take(&frame).into_iter().map(Ok).collect(),
                Some(Err(error)) => vec![Err(error)],
                None => self.end().into_iter().map(Ok).collect(),
            };
            futures_util::stream::iter(lines)
        })
    }

    fn take(&mut self, frame: &[u8]) -> Vec<RawLine> {
        let mut lines = Vec::new();
        let mut rest = frame;
        let mut first = true;
        while !rest.is_empty() {
            let (part, ends, next) = match rest.iter().position(|b| *b == b'\n') {
                Some(at) => (&rest[..at], true, &rest[at + 1..]),
                None => (rest, false, &rest[rest.len()..]),
            };
            // A frame of a log without a terminal begins with a time even where it goes on with a line.
            let stamped = !self.open || (first && !self.tty);
            let (at, text) = if stamped { split_time(part) } else { (None, part) };
            if !self.open {
                self.at = at;
                self.open = true;
            }
            self.frames += 1;
            self.add(text);
            if ends {
                lines.extend(self.end());
            }
            rest = next;
            first = false;
        }
        lines
    }

    fn add(&mut self, text: &[u8]) {
        let room = LINE_MAX.saturating_sub(self.line.len());
        let taken = text.len().min(room);
        self.line.extend_from_slice(&text[..taken]);
        self.dropped += text.len() - taken;
    }

    fn end(&mut self) -> Option<RawLine> {
        if !std::mem::take(&mut self.open) {
            return None;
        }
        let mut text = clean_line(&std::mem::take(&mut self.line));
        let dropped = std::mem::take(&mut self.dropped);
        if dropped > 0 {
            text.push_str(&format!(" … ({dropped} more bytes)"));
        }
        Some(RawLine { at: self.at.take(), text, frames: std::mem::take(&mut self.frames) })
    }
}

/// What the engine complains of in a frame of its own (stream type 3), which comes with its header of eight bytes.
pub(super) fn complaint(frame: &[u8]) -> String {
    const HEADER: usize = 8;
    let text = if frame.starts_with(&[3, 0, 0, 0]) { frame.get(HEADER..).unwrap_or_default() } else { frame };
    clean_line(text.trim_ascii())
}

/// A leading time `2026-01-02T03:04:05.678901234Z ` apart from the text after it.
pub(super) fn split_time(part: &[u8]) -> (Option<Millis>, &[u8]) {
    let Some(space) = part.iter().take(40).position(|b| *b == b' ') else { return (None, part) };
    let time = std::str::from_utf8(&part[..space]).ok().and_then(|t| t.parse::<jiff::Timestamp>().ok());
    match time {
        Some(time) => (Some(time.as_millisecond()), &part[space + 1..]),
        None => (None, part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(tty: bool, frames: &[&[u8]]) -> Vec<(Option<Millis>, String)> {
        let mut assembler = Assembler::new(tty);
        let mut all: Vec<RawLine> = frames.iter().flat_map(|f| assembler.take(f)).collect();
        all.extend(assembler.end());
        all.into_iter().map(|l| (l.at, l.text)).collect()
    }

    #[test]
    fn frames_become_lines() {
        let plain = lines(false, &[b"1970-01-01T00:00:01.5Z one\n", b"1970-01-01T00:00:02Z two", b"1970-01-01T00:00:03Z , more\n"]);
        assert_eq!(plain, [(Some(1500), "one".into()), (Some(2000), "two, more".into())]);
        let tty = lines(true, &[b"1970-01-01T00:00:01Z a\r\n1970-01-01T00:00:02Z b", b"c\r\n", b"1970-01-01T00:00:03Z last"]);
        assert_eq!(tty, [(Some(1000), "a".into()), (Some(2000), "bc".into()), (Some(3000), "last".into())]);
        assert_eq!(lines(false, &[b"no time here\n\n"]), [(None, "no time here".into()), (None, String::new())]);
    }

    #[test]
    fn a_line_of_a_megabyte_is_cut_as_it_comes() {
        let frame = [b"1970-01-01T00:00:01Z ".as_slice(), &[b'x'; 16_384]].concat();
        let frames: Vec<&[u8]> = std::iter::repeat_n(frame.as_slice(), 64).chain([b"1970-01-01T00:00:01Z y\n".as_slice()]).collect();
        let all = lines(false, &frames);
        assert_eq!(all.len(), 1);
        assert!(all[0].1.ends_with("xx … (1046577 more bytes)"), "{}", &all[0].1[1_990..]);
    }
}

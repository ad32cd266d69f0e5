//! Bytes as they stream in, cut into lines in bounded memory.

use crate::domain::redact::{LINE_MAX, clean_line};

/// How much of a line is kept: more could not be shown. Four bytes a character at most.
const KEPT: usize = LINE_MAX * 4;

/// Cuts a stream into cleaned lines. A carriage return ends a line as well as a newline does (progress is written that
/// way), blank lines are left out, and of a line without end only the beginning is kept.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    line: Vec<u8>,
    length: usize,
}

impl Splitter {
    /// Takes in some bytes and hands out the lines that are complete.
    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut dyn FnMut(String)) {
        let mut pieces = bytes.split(|b| matches!(b, b'\n' | b'\r')).peekable();
        while let Some(piece) = pieces.next() {
            let room = KEPT - self.line.len();
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            self.length += piece.len();
            if pieces.peek().is_some() {
                self.end(out);
            }
        }
    }

    /// Hands out what is left as the last line.
    pub(super) fn end(&mut self, out: &mut dyn FnMut(String)) {
        let mut text = clean_line(&self.line);
        if self.length > self.line.len() {
            // The mark that tells how much is missing counts only what was kept: put the true one there.
            if let Some(mark) = text.rfind(" … (").filter(|_| text.ends_with(" more bytes)")) {
                text.truncate(mark);
            }
            let missing = self.length.saturating_sub(text.len());
            text.push_str(&format!(" … ({missing} more bytes)"));
        }
        self.line.clear();
        self.length = 0;
        if !text.trim().is_empty() {
            out(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut splitter = Splitter::default();
        for chunk in chunks {
            splitter.feed(chunk, &mut |l| lines.push(l));
        }
        splitter.end(&mut |l| lines.push(l));
        lines
    }

    #[test]
    fn lines_end_at_newlines_and_carriage_returns() {
        assert_eq!(split(&[b"a\r\nb\n\n", b"10%\r20%\r", b"do", b"ne"]), ["a", "b", "10%", "20%", "done"]);
        assert_eq!(split(&[b"\x1b[2K\r", b"  \n"]), Vec::<String>::new(), "nothing to see in them");
    }

    #[test]
    fn a_line_without_end_costs_no_memory() {
        let mut splitter = Splitter::default();
        for _ in 0..1_000 {
            splitter.feed(&[b'x'; 100_000], &mut |_| panic!("no line yet"));
        }
        assert!(splitter.line.capacity() <= 2 * KEPT);
        let mut lines = Vec::new();
        splitter.feed(b"\nnext\n", &mut |l| lines.push(l));
        assert!(lines[0].starts_with("xxx") && lines[0].ends_with("x … (99998000 more bytes)"), "{:?}", &lines[0][1_990..]);
        assert_eq!(lines[1], "next");
    }
}

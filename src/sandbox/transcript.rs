//! A conversation as plain text, for a terminal.

use std::collections::BTreeMap;

use super::bot_api::{Attachment, Message};

/// Most lines of a file that are shown.
const FILE_LINES: usize = 10;
/// Most characters of a line of a file that are shown.
const FILE_LINE_WIDTH: usize = 160;

/// Messages in their current state, in order: who, the text, the buttons, files with their first lines.
///
/// What a bot says reaches a terminal through this, so control characters do not pass.
#[must_use]
pub fn render(messages: &[Message]) -> String {
    let shown: Vec<String> = messages.iter().map(render_one).collect();
    shown.join("\n")
}

fn render_one(message: &Message) -> String {
    let who = if message.from_bot { message.sender.as_str() } else { "you" };
    let mut lines: Vec<String> = Vec::new();
    if let Some(document) = &message.document {
        lines.push(format!("(file {}, {})", document.name, size(document.size)));
        lines.extend(first_lines(document));
    }
    if let Some(photo) = &message.photo {
        let (width, height) = photo.pixels;
        lines.push(format!("(picture {width}x{height}, {})", size(photo.size)));
    }
    if !message.text.is_empty() {
        lines.extend(message.text.split('\n').map(str::to_owned));
    }
    for row in message.button_texts() {
        let row: Vec<String> = row.iter().map(|text| format!("[{text}]")).collect();
        lines.push(row.join(" "));
    }
    let lines: Vec<String> = lines.iter().map(|line| printable(line)).collect();
    match lines.as_slice() {
        [line] => format!("{who}: {line}\n"),
        lines => {
            let mut text = format!("{who}:\n");
            for line in lines {
                // No blanks on an empty line: a transcript is compared and pasted.
                text += format!("  {line}").trim_end();
                text.push('\n');
            }
            text
        }
    }
}

/// The start of a file that holds text; nothing of one that does not.
fn first_lines(document: &Attachment) -> Vec<String> {
    let Ok(text) = std::str::from_utf8(&document.bytes) else { return Vec::new() };
    let count = text.lines().count();
    let mut lines: Vec<String> = text.lines().take(FILE_LINES).map(|line| format!("| {}", shortened(line))).collect();
    if count > FILE_LINES {
        lines.push(format!("| ... {} more lines", count - FILE_LINES));
    }
    lines
}

fn shortened(line: &str) -> String {
    let mut short: String = line.chars().take(FILE_LINE_WIDTH).collect();
    if short.len() < line.len() {
        short += "...";
    }
    short
}

fn printable(line: &str) -> String {
    line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A size for people, in units of 1,024, rounded up so that nothing is 0 KB.
fn size(bytes: usize) -> String {
    const KB: usize = 1_024;
    const MB: usize = KB * KB;
    match bytes {
        0..KB => format!("{bytes} B"),
        KB..MB => format!("{} KB", bytes.div_ceil(KB)),
        _ => format!("{} MB", bytes.div_ceil(MB)),
    }
}

/// Remembers what was printed, so that only news is printed next time.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Edits of each message when it was last taken.
    edits: BTreeMap<i32, u32>,
}

impl Seen {
    /// The messages of a chat that are new or were edited since the last call.
    pub fn take_new(&mut self, messages: &[Message]) -> Vec<Message> {
        let mut is_new = |message: &&Message| self.edits.insert(message.id, message.edits) != Some(message.edits);
        messages.iter().filter(|message| is_new(message)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use expect_test::{Expect, expect};

    use super::super::bot_api::Button;
    use super::super::bot_api::tests::message;
    use super::*;

    fn file(name: &str, bytes: impl Into<Bytes>) -> Attachment {
        let bytes = bytes.into();
        let (file_id, size) = (String::new(), bytes.len());
        Attachment { file_id, name: name.to_owned(), mime: "text/plain", bytes, size, pixels: (0, 0) }
    }

    fn check(messages: &[Message], expected: Expect) {
        expected.assert_eq(&render(messages));
    }

    #[test]
    fn a_conversation_reads_from_top_to_bottom() {
        let button = |text: &str| Button { text: text.to_owned(), data: Some("x".to_owned()), url: None };
        let mut plan = message(2, true, "Deploy shop\n\n1 file changed");
        plan.buttons = vec![vec![button("Deploy"), button("Cancel")], vec![button("Details")]];
        check(
            &[message(1, false, "/docker_deploy"), plan, message(3, false, "yes"), message(4, true, "Done.")],
            expect![[r#"
                you: /docker_deploy

                dockmaster:
                  Deploy shop

                  1 file changed
                  [Deploy] [Cancel]
                  [Details]

                you: yes

                dockmaster: Done.
            "#]],
        );
        check(&[], expect![[""]]);
    }

    #[test]
    fn files_show_how_they_begin() {
        let mut logs = message(1, true, "12 lines");
        let content: String = (1..=12).map(|n| format!("line {n} {}\n", if n == 2 { "x".repeat(200) } else { String::new() })).collect();
        logs.document = Some(file("web.log", content));
        let mut binary = message(2, true, "");
        binary.document = Some(file("a.bin", vec![0xff; 3_000_000]));
        let mut picture = message(3, true, "");
        picture.photo = Some(Attachment { pixels: (640, 480), ..file("", vec![0; 1_025]) });
        check(
            &[logs, binary, picture],
            expect![[r#"
                dockmaster:
                  (file web.log, 299 B)
                  | line 1
                  | line 2 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
                  | line 3
                  | line 4
                  | line 5
                  | line 6
                  | line 7
                  | line 8
                  | line 9
                  | line 10
                  | ... 2 more lines
                  12 lines

                dockmaster: (file a.bin, 3 MB)

                dockmaster: (picture 640x480, 2 KB)
            "#]],
        );
    }

    #[test]
    fn escape_codes_do_not_reach_the_terminal() {
        let mut logs = message(1, true, "\u{9b}31mred");
        logs.document = Some(file("\x1b]0;x.log", "\x1b[2Jgone\ta"));
        check(
            &[logs],
            expect![[r#"
                dockmaster:
                  (file �]0;x.log, 10 B)
                  | �[2Jgone�a
                  �31mred
            "#]],
        );
    }

    #[test]
    fn only_news_is_taken() {
        let mut seen = Seen::default();
        let ids = |messages: Vec<Message>| messages.iter().map(|message| message.id).collect::<Vec<_>>();
        let mut chat = vec![message(1, false, "a"), message(2, true, "b")];
        assert_eq!(ids(seen.take_new(&chat)), [1, 2]);
        assert_eq!(ids(seen.take_new(&chat)), [0; 0]);
        chat[1].edits = 1;
        chat.push(message(3, true, "c"));
        assert_eq!(ids(seen.take_new(&chat)), [2, 3]);
        assert_eq!(ids(seen.take_new(&chat)), [0; 0]);
    }
}

//! Text as Telegram takes it: HTML, and split where one message does not hold it.

use crate::domain::text::{Span, Text};

/// The most UTF-16 units of a message, after its entities are parsed.
pub(crate) const MESSAGE_MAX: usize = 4_096;
/// The most UTF-16 units of a caption.
pub(crate) const CAPTION_MAX: usize = 1_024;
/// The most entities of a message.
const ENTITIES_MAX: usize = 100;

/// A text as HTML for Telegram.
pub(crate) fn html(text: &Text) -> String {
    let mut html = String::new();
    for span in text.0.iter().filter(|s| !s.text().is_empty()) {
        let escaped = escape(span.text());
        match span {
            Span::Plain(_) => html.push_str(&escaped),
            Span::Bold(_) => html.push_str(&format!("<b>{escaped}</b>")),
            Span::Code(_) => html.push_str(&format!("<code>{escaped}</code>")),
            Span::Block(_) => html.push_str(&format!("<pre>{escaped}</pre>")),
        }
    }
    html
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The length of a text as Telegram counts.
pub(crate) fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Splits a text into messages at line ends, or within a line that is longer than a message. Empty messages, which
/// Telegram refuses, do not come out; an empty text becomes a dash.
pub(crate) fn split(text: &Text) -> Vec<Text> {
    let mut parts = cut(text, MESSAGE_MAX);
    if parts.is_empty() {
        parts.push(Text::new().plain("-"));
    }
    parts
}

/// A text cut to one message, with a mark where something is missing.
pub(crate) fn fit(text: &Text, max: usize) -> Text {
    let mut parts = cut(text, max);
    if parts.len() <= 1 {
        return parts.pop().unwrap_or_else(|| Text::new().plain("-"));
    }
    let mut parts = cut(text, max.saturating_sub(2));
    parts.swap_remove(0).plain("\n…")
}

/// A piece of a span that ends with its line or its span.
struct Piece<'a> {
    /// The place of its span, so that pieces of one span grow together again.
    source: usize,
    span: &'a Span,
    text: &'a str,
}

fn cut(text: &Text, max: usize) -> Vec<Text> {
    let mut parts: Vec<Part> = vec![Part::default()];
    for line in lines(text) {
        let formed = |piece: &&Piece<'_>| !matches!(piece.span, Span::Plain(_));
        let (units, entities) = (line.iter().map(|p| units(p.text)).sum::<usize>(), line.iter().filter(formed).count());
        // Telegram trims line ends, so that the one at the end does not count.
        let fits = |part: &Part| part.units + units.saturating_sub(1) <= max && part.entities + entities <= ENTITIES_MAX;
        if !parts.last().is_some_and(fits) {
            parts.push(Part::default());
        }
        for piece in line {
            let mut rest = piece.text;
            while !rest.is_empty() {
                let Some(part) = parts.last_mut() else { return Vec::new() };
                let taken = prefix(rest, max.saturating_sub(part.units));
                if taken.is_empty() || part.entities == ENTITIES_MAX && !matches!(piece.span, Span::Plain(_)) {
                    parts.push(Part::default());
                    continue;
                }
                part.push(piece.source, piece.span, taken);
                rest = &rest[taken.len()..];
            }
        }
    }
    parts.into_iter().map(|p| without_line_ends(p.text)).filter(|t| !t.to_plain().trim().is_empty()).collect()
}

/// One message that is being filled.
#[derive(Default)]
struct Part {
    text: Text,
    units: usize,
    entities: usize,
    last: Option<usize>,
}

impl Part {
    fn push(&mut self, source: usize, span: &Span, text: &str) {
        self.units += units(text);
        if self.last == Some(source)
            && let Some(last) = self.text.0.last_mut()
        {
            return content(last).push_str(text);
        }
        self.last = Some(source);
        self.entities += usize::from(!matches!(span, Span::Plain(_)));
        let text = text.to_owned();
        self.text.0.push(match span {
            Span::Plain(_) => Span::Plain(text),
            Span::Bold(_) => Span::Bold(text),
            Span::Code(_) => Span::Code(text),
            Span::Block(_) => Span::Block(text),
        });
    }
}

/// The text in lines, each made of pieces of spans.
fn lines(text: &Text) -> Vec<Vec<Piece<'_>>> {
    let mut lines: Vec<Vec<Piece<'_>>> = vec![Vec::new()];
    for (source, span) in text.0.iter().enumerate() {
        for piece in span.text().split_inclusive('\n') {
            if let Some(line) = lines.last_mut() {
                line.push(Piece { source, span, text: piece });
            }
            if piece.ends_with('\n') {
                lines.push(Vec::new());
            }
        }
    }
    lines.retain(|line| !line.is_empty());
    lines
}

/// The longest beginning of at most `max` UTF-16 units.
fn prefix(text: &str, max: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += c.len_utf16();
        used > max
    });
    end.map_or(text, |(at, _)| &text[..at])
}

fn content(span: &mut Span) -> &mut String {
    match span {
        Span::Plain(t) | Span::Bold(t) | Span::Code(t) | Span::Block(t) => t,
    }
}

/// Takes the line ends off both ends: Telegram does the same.
fn without_line_ends(mut text: Text) -> Text {
    while let Some(last) = text.0.last_mut().map(content) {
        last.truncate(last.trim_end_matches('\n').len());
        if !last.is_empty() {
            break;
        }
        text.0.pop();
    }
    while let Some(first) = text.0.first_mut().map(content) {
        *first = first.trim_start_matches('\n').to_owned();
        if !first.is_empty() {
            break;
        }
        text.0.remove(0);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn html_is_escaped() {
        let text = Text::new().plain("a & b <c>\n").bold("<b>").code("x>y").block("1 < 2\n&amp;");
        assert_eq!(html(&text), "a &amp; b &lt;c&gt;\n<b>&lt;b&gt;</b><code>x&gt;y</code><pre>1 &lt; 2\n&amp;amp;</pre>");
        assert_eq!(html(&Text::new().bold("").plain("")), "");
    }

    #[test]
    fn a_long_text_is_split_at_line_ends_and_blocks_stay_blocks() {
        let block = "x".repeat(100) + "\n";
        let text = Text::new().bold("head").line().block(block.repeat(60));
        let parts = split(&text);
        assert_eq!(parts.len(), 2);
        assert!(matches!(&parts[1].0[..], [Span::Block(t)] if t.starts_with('x') && t.ends_with('x')));
        assert_eq!(parts[0].0[0], Span::Bold("head".into()));
        assert_eq!(split(&Text::new().line()), vec![Text::new().plain("-")]);
        let cut = fit(&text, MESSAGE_MAX);
        assert!(cut.to_plain().ends_with("\n…") && units(&cut.to_plain()) <= MESSAGE_MAX);
    }

    #[test]
    fn a_line_with_many_names_stays_within_the_entities() {
        let mut text = Text::new();
        for n in 0..250 {
            text = text.code(format!("s{n}")).plain(": up\n");
        }
        let parts = split(&text);
        assert!(parts.len() >= 3);
        assert!(parts.iter().all(|p| entities(p) <= ENTITIES_MAX));
    }

    fn entities(text: &Text) -> usize {
        text.0.iter().filter(|span| !matches!(span, Span::Plain(_))).count()
    }

    fn span() -> impl Strategy<Value = Span> {
        let text = proptest::collection::vec(prop_oneof![Just("\n".to_owned()), "[a<&é🟢]{0,9}", "[ab]{1900,2100}"], 0..9);
        (0..4, text.prop_map(|t| t.concat())).prop_map(|(kind, t)| match kind {
            0 => Span::Plain(t),
            1 => Span::Bold(t),
            2 => Span::Code(t),
            _ => Span::Block(t),
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn nothing_is_lost_and_nothing_is_too_long(spans in proptest::collection::vec(span(), 0..8), max in prop_oneof![Just(5usize), Just(64), Just(MESSAGE_MAX)]) {
            let text = Text(spans);
            let parts = cut(&text, max);
            for part in &parts {
                prop_assert!(units(&part.to_plain()) <= max);
                prop_assert!(entities(part) <= ENTITIES_MAX);
                prop_assert!(!part.to_plain().trim().is_empty());
            }
            let bare = |t: &str| t.replace('\n', "");
            let joined: String = parts.iter().map(|p| bare(&p.to_plain())).collect();
            prop_assert_eq!(joined, bare(&text.to_plain()));
            prop_assert!(units(&fit(&text, max).to_plain()) <= max);
        }
    }
}

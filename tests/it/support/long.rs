//! The rounds that `scripts/long` asks a test for. The unit tests read this file, too.

use std::ops::Range;

/// The rounds of the long form, whose numbers are the seeds of what is random in them; none in the short form.
pub(crate) fn asked() -> Option<Range<u64>> {
    let count = number("DOCKMASTER_LONG_COUNT")?;
    let first = number("DOCKMASTER_LONG_FIRST").unwrap_or(0);
    Some(first..first + count)
}

/// As many rounds as are asked for, or those of the short form.
pub(crate) fn rounds(short: u64) -> Range<u64> {
    asked().unwrap_or(0..short)
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")))
}

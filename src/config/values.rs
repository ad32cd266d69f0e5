//! The small languages inside the file's strings: durations, ids, addresses, labels, patterns, names and paths.
//! Each function answers with what it expects where it cannot read what it got, and refuses the empty string.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use crate::domain::access::UserId;
use crate::domain::space::{self, SpaceLimit};
use crate::domain::text;

/// The largest Telegram id: they have at most 52 significant bits.
pub(super) const ID_MAX: i64 = (1 << 52) - 1;
/// The longest compose project name; image tags of our own are made from it.
const COMPOSE_NAME_MAX: usize = 128;

/// The longest path that Linux takes.
pub(super) const PATH_MAX: usize = 4095;

/// What a duration may be.
pub(super) struct Bounds {
    /// The shortest.
    pub(super) least: Duration,
    /// The longest.
    pub(super) most: Duration,
    /// One that people write.
    pub(super) such_as: &'static str,
}

impl Bounds {
    /// Reads `60s`, `2m`, `1h30m` and what else jiff understands.
    pub(super) fn read(&self, text: &str) -> Result<Duration, String> {
        let read = text.parse::<jiff::SignedDuration>().ok().and_then(|d| Duration::try_from(d).ok());
        read.filter(|d| (self.least..=self.most).contains(d)).ok_or_else(|| self.expected())
    }

    fn expected(&self) -> String {
        let shown = |d: Duration| text::duration(i64::try_from(d.as_millis()).unwrap_or(i64::MAX));
        let (most, such_as) = (shown(self.most), self.such_as);
        if self.least.is_zero() {
            format!("a duration of at most {most}, such as “{such_as}”")
        } else {
            format!("a duration from {} to {most}, such as “{such_as}”", shown(self.least))
        }
    }
}

/// How little room is little.
pub(super) fn space_limit(text: &str) -> Result<SpaceLimit, &'static str> {
    const EXPECTED: &str = "a size from “1MB” to “999TB”, a part from “1%” to “99%”, “auto” or “off”";
    let number = |digits: &str| digits.parse::<u64>().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()));
    match text {
        "auto" => return Ok(SpaceLimit::Usual),
        "off" => return Ok(SpaceLimit::Off),
        _ => {}
    }
    if let Some(percent) = text.strip_suffix('%') {
        let percent = number(percent).filter(|percent| (1..=99).contains(percent)).and_then(|percent| u8::try_from(percent).ok());
        return percent.map(SpaceLimit::Percent).ok_or(EXPECTED);
    }
    let upper = text.to_ascii_uppercase();
    let (digits, unit) = space::UNITS.into_iter().find_map(|(word, unit)| Some((upper.strip_suffix(word)?, unit))).ok_or(EXPECTED)?;
    let count = number(digits.trim_end()).filter(|count| (1..=999_999).contains(count)).and_then(|count| count.checked_mul(unit));
    count.filter(|bytes| *bytes < 1_000 << 40).map(SpaceLimit::Bytes).ok_or(EXPECTED)
}

/// A user's id as a key. `007` and `+7` are refused: they would be second names of the same person.
pub(super) fn user_id(text: &str) -> Result<UserId, &'static str> {
    let id = text.parse::<i64>().ok().filter(|id| (1..=ID_MAX).contains(id) && id.to_string() == text);
    id.and_then(|id| UserId::try_from(id).ok()).ok_or("a user's numeric id (the bot answers /whoami with it)")
}

/// A compose project name.
pub(super) fn compose_name(text: &str) -> Result<String, &'static str> {
    let ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = text.starts_with(ok) && text.len() <= COMPOSE_NAME_MAX && text.chars().all(|c| ok(c) || matches!(c, '_' | '-'));
    fits.then(|| text.to_owned()).ok_or("a compose project name: a-z 0-9 _ -, starting with a letter or digit")
}

/// A compose file: relative, so that it means the same in workspace, production and a release.
pub(super) fn compose_file(text: &str) -> Result<String, &'static str> {
    // Compose reads `-` as its standard input, and other words with a dash could be taken for options.
    let plain = !text.is_empty() && !text.starts_with('-') && !text.chars().any(char::is_control);
    let components = || Path::new(text).components();
    let inside = components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    let parts: Vec<&str> = components().filter_map(|c| if let Component::Normal(part) = c { part.to_str() } else { None }).collect();
    if plain && inside && !parts.is_empty() {
        Ok(parts.join("/"))
    } else {
        Err("a relative path without “..”, such as “docker-compose.yml”")
    }
}

/// A directory of the machine.
pub(super) fn directory(text: &str) -> Result<PathBuf, &'static str> {
    let path: PathBuf = Path::new(text).components().collect();
    let mut components = path.components();
    let absolute = components.next() == Some(Component::RootDir);
    // Deploying into the root, or out of it, would take the whole machine along.
    let named = components.clone().next().is_some();
    let direct = components.all(|c| matches!(c, Component::Normal(_)));
    let plain = !text.chars().any(char::is_control) && text.len() <= PATH_MAX;
    if absolute && named && direct && plain {
        Ok(path)
    } else {
        Err("the absolute path of a directory, without “..”, such as “/srv/shop”")
    }
}

/// A container's label, `key=value` or `key`.
pub(super) fn label(text: &str) -> Result<String, &'static str> {
    let key = text.split('=').next().unwrap_or_default();
    let plain = !text.chars().any(char::is_control) && !key.contains(char::is_whitespace);
    if plain && !key.is_empty() { Ok(text.to_owned()) } else { Err("a label, “key=value” or “key”") }
}

/// A pattern in gitignore syntax.
pub(super) fn pattern(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.contains(['\n', '\r', '\0']) {
        return Err("a pattern in gitignore syntax, such as “*.log” or “uploads/”".to_owned());
    }
    match ignore::gitignore::GitignoreBuilder::new("/").add_line(None, text) {
        Ok(_) => Ok(text.to_owned()),
        Err(why) => Err(format!("a pattern in gitignore syntax ({})", reason(&why))),
    }
}

/// Why a pattern was refused, without the pattern itself.
fn reason(why: &ignore::Error) -> String {
    match why {
        ignore::Error::Glob { err, .. } => err.clone(),
        ignore::Error::WithLineNumber { err, .. } | ignore::Error::WithPath { err, .. } | ignore::Error::WithDepth { err, .. } => {
            reason(err)
        }
        other => other.to_string(),
    }
}

/// The address of a probe. User names and passwords are refused: plans and logs show the address.
pub(super) fn address(text: &str) -> Result<String, &'static str> {
    const EXPECTED: &str = "an http:// or https:// address without a password, such as “http://127.0.0.1:8001/health”";
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).ok_or(EXPECTED)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // In `[::1]:80` the port follows the bracket; elsewhere it follows the only colon.
    let (host, port) = match authority.strip_prefix('[').and_then(|a| a.split_once(']')) {
        Some((host, port)) if host.parse::<std::net::Ipv6Addr>().is_ok() => {
            (host, port.strip_prefix(':').or(port.is_empty().then_some("80")))
        }
        Some(_) => return Err(EXPECTED),
        None => authority.split_once(':').map_or((authority, Some("80")), |(host, port)| (host, Some(port))),
    };
    let host_fits = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':'));
    let port_fits = port.is_some_and(|p| p.bytes().all(|b| b.is_ascii_digit()) && p.parse::<u16>().is_ok_and(|p| p > 0));
    let plain = text.bytes().all(|b| b.is_ascii_graphic());
    if host_fits && port_fits && plain { Ok(text.to_owned()) } else { Err(EXPECTED) }
}

//! Secrets and control characters out of text that goes to people or to the log.

use super::untrusted::visible;

/// The longest line that is shown, in characters; the rest is cut with a mark.
pub const LINE_MAX: usize = 2_000;

/// Makes a line of a log fit to show: what colours a terminal goes, other control characters and what is invisible are
/// spelt out, bytes that are no text become `\u{fffd}`, and what is longer than [`LINE_MAX`] characters is cut with how much
/// is missing.
pub fn clean_line(bytes: &[u8]) -> String {
    // A megabyte of line is cut before it is decoded: four bytes a character at most.
    let bounded = &bytes[..bytes.len().min(LINE_MAX * 4)];
    let text = String::from_utf8_lossy(bounded);
    let mut line = String::with_capacity(text.len().min(LINE_MAX));
    let mut chars = text.chars().peekable();
    let mut count = 0;
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            skip_escape(&mut chars);
        } else if c != '\r' {
            line.push(c);
            count += 1;
        }
        if count >= LINE_MAX {
            let rest = bytes.len().saturating_sub(line.len());
            let line = visible(&line);
            return if rest > 0 { format!("{line} … ({rest} more bytes)") } else { line };
        }
    }
    visible(&line)
}

fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next() {
        // CSI: parameters, then one final byte from @ to ~.
        Some('[') => while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
        // OSC: up to BEL or ESC \.
        Some(']') => {
            while let Some(c) = chars.next() {
                if c == '\u{7}' {
                    break;
                }
                if c == '\u{1b}' {
                    chars.next();
                    break;
                }
            }
        }
        // Character sets: one more byte.
        Some('(' | ')' | '*' | '+') => {
            chars.next();
        }
        _ => {}
    }
}

/// Takes the secrets that are given out of a text. Short ones (under 8 characters) are left: they would take the text apart.
pub fn redact(text: &str, secrets: &[&str]) -> String {
    secrets.iter().filter(|s| s.len() >= 8).fold(text.to_owned(), |text, secret| text.replace(secret, "[secret]"))
}

/// What the names of variables and options have in them whose values are secret.
const SECRET_WORDS: [&str; 10] = ["PASS", "PWD", "TOKEN", "SECRET", "KEY", "CREDENTIAL", "AUTH", "PRIVATE", "COOKIE", "SALT"];

/// Whether a name is one of something that is most likely secret. Rather one too many: what is taken for a secret is only not
/// shown.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// An address without what may be secret in it: its user, password, query and fragment. Nothing else of it is touched.
pub fn address(text: &str) -> String {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}{host}{path}")
}

/// Whether a text is an address with a user's name, and so most likely with a password.
pub fn holds_password(text: &str) -> bool {
    text.split_once("://").is_some_and(|(_, rest)| rest.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_from_outside_are_made_fit_to_show() {
        assert_eq!(clean_line(b"\x1b[31mred\x1b[0m plain"), "red plain");
        assert_eq!(clean_line(b"\x1b]0;title\x07text\r"), "text");
        assert_eq!(clean_line(b"bin\x00ary \xff\xfe"), "bin\\u{0}ary \u{fffd}\u{fffd}");
        assert_eq!(clean_line("a\u{202e}b\tc".as_bytes()), "a\\u{202e}b    c");
        assert_eq!(clean_line(b"\x1b["), "");
        let long = clean_line(&vec![b'x'; 1_000_000]);
        assert!(long.ends_with("(998000 more bytes)") && long.len() < 2_100, "{}", &long[1_990..]);
    }

    #[test]
    fn what_is_secret_is_seen_by_its_name_or_its_look() {
        for secret in ["DB_PASSWORD", "db_pass", "MYSQL_PWD", "API_KEY", "GITHUB_TOKEN", "client-secret", "AWS_CREDENTIALS"] {
            assert!(is_secret_name(secret), "{secret}");
        }
        for plain in ["MODE", "PORT", "DATABASE_URL", "LOG_LEVEL"] {
            assert!(!is_secret_name(plain), "{plain}");
        }
        assert!(holds_password("postgres://shop:hunter2@db/shop") && !holds_password("http://db/shop") && !holds_password("a@b"));
    }

    #[test]
    fn addresses_are_shown_without_secrets() {
        for (given, shown) in [
            ("https://user:pass@host:8/x?token=secret#y", "https://host:8/x"),
            ("http://127.0.0.1/health?token=a@b", "http://127.0.0.1/health"),
            ("https://user:p@ss@host", "https://host"),
            ("https://host?next=http://user:pass@other/", "https://host"),
            ("git@host:repository", "host:repository"),
            ("/srv/shop/app", "/srv/shop/app"),
        ] {
            assert_eq!(address(given), shown);
        }
    }

    #[test]
    fn secrets_go() {
        assert_eq!(redact("GET /bot123:abcdef/x", &["123:abcdef"]), "GET /bot[secret]/x");
    }
}

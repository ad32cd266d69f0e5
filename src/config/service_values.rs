//! The small languages of managed services and of finding containers: images, sizes, ports, mounts, networks.
//! As in [`values`](super::values), each function answers with what it expects, and refuses the empty string.

use std::net::{IpAddr, Ipv6Addr};
use std::path::{Component, Path, PathBuf};

use crate::domain::managed::{Network, RestartRule};
use crate::domain::project::{ServiceName, Way};

use super::values;

/// The longest image name, without tag and digest, that registries take.
const IMAGE_NAME_MAX: usize = 255;
/// The longest tag.
const TAG_MAX: usize = 128;
/// The longest pattern for names.
const PATTERN_MAX: usize = 200;
/// The longest name of a secret.
const SECRET_NAME_MAX: usize = 64;
/// The longest name of a network or a volume.
const NAME_MAX: usize = 128;
/// The least memory that the engine takes, in bytes.
const MEMORY_MIN: u64 = 6 << 20;
/// The most memory that can be told, in bytes: a pebibyte.
const MEMORY_MAX: u64 = 1 << 50;

/// A reference to an image, `[registry/]name[:tag][@digest]`.
pub(super) fn image(text: &str) -> Result<String, &'static str> {
    const EXPECTED: &str = "an image, such as “nginx:1.27” or “registry.example/team/app@sha256:…”";
    let (rest, digest) = text.split_once('@').map_or((text, None), |(rest, digest)| (rest, Some(digest)));
    // What follows a colon is a port where a slash comes after it.
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    let (registry, path) = match name.split_once('/') {
        Some((first, path)) if first.contains(['.', ':']) || first == "localhost" => (Some(first), path),
        _ => (None, name),
    };
    let fits = name.len() <= IMAGE_NAME_MAX
        && path.split('/').all(image_part)
        && registry.is_none_or(is_registry)
        && tag.is_none_or(is_tag)
        && digest.is_none_or(is_digest);
    if fits { Ok(text.to_owned()) } else { Err(EXPECTED) }
}

fn image_part(part: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separator = |s: &str| matches!(s, "" | "." | "_" | "__") || s.chars().all(|c| c == '-');
    part.starts_with(is_letter) && part.ends_with(is_letter) && part.split(is_letter).all(separator)
}

fn is_registry(text: &str) -> bool {
    let (host, port) = text.split_once(':').map_or((text, "443"), |(host, port)| (host, port));
    let plain = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
    plain && host.starts_with(|c: char| c.is_ascii_alphanumeric()) && number(port).is_some()
}

fn is_tag(text: &str) -> bool {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    plain && text.len() <= TAG_MAX && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')))
}

/// The number of a port, as people write it.
fn number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port: &u16| *port > 0 && port.to_string() == text)
}

/// A port in a container with its protocol, `80` or `53/udp`.
pub(super) fn container_port(text: &str) -> Result<(u16, String), &'static str> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let known = matches!(protocol, "tcp" | "udp" | "sctp");
    let port = number(port).filter(|_| known);
    port.map(|port| (port, protocol.to_owned())).ok_or("a port of the container, such as “8080” or “53/udp”")
}

/// Where a port is on the host: the address, empty for all, and the port, 0 for one that the engine chooses.
pub(super) fn host_port(text: &str) -> Result<(String, u16), &'static str> {
    const EXPECTED: &str = "a port of the host, such as “80” or “127.0.0.1:80”, or “auto”";
    let (address, port) = text.rsplit_once(':').map_or((None, text), |(address, port)| (Some(address), port));
    let address = match address {
        None => String::new(),
        Some(address) => ip(address).ok_or(EXPECTED)?.to_string(),
    };
    let port = if port == "auto" { Some(0) } else { number(port) };
    port.map(|port| (address, port)).ok_or(EXPECTED)
}

fn ip(text: &str) -> Option<IpAddr> {
    match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => text.parse().ok().filter(IpAddr::is_ipv4),
    }
}

/// Something on the host, or a volume.
pub(super) enum Source {
    /// A path of the host.
    Absolute(PathBuf),
    /// A path below production, `/` between its parts; empty for production itself.
    Below(String),
    /// The name of a volume.
    Volume(String),
}

/// What is mounted.
pub(super) fn mount_source(text: &str) -> Result<Source, &'static str> {
    const EXPECTED: &str = "an absolute path, one below production such as “./data”, or the name of a volume";
    if text == "/" {
        return Ok(Source::Absolute(PathBuf::from("/")));
    }
    if let Ok(path) = values::directory(text) {
        return Ok(Source::Absolute(path));
    }
    if text == "." || text.starts_with("./") {
        return below(text).map(Source::Below).ok_or(EXPECTED);
    }
    // The engine takes no volume's name of one letter.
    if is_name(text) && text.len() > 1 { Ok(Source::Volume(text.to_owned())) } else { Err(EXPECTED) }
}

/// Where it is mounted, and whether it can only be read.
pub(super) fn mount_target(text: &str) -> Result<(String, bool), &'static str> {
    let (path, read_only) = text.strip_suffix(":ro").map_or((text, false), |path| (path, true));
    let target = values::directory(path).ok().and_then(|path| path.to_str().map(str::to_owned)).filter(|path| !path.contains(':'));
    target.map(|target| (target, read_only)).ok_or("an absolute path in the container, such as “/data” or “/data:ro”")
}

/// A file, absolute or below production.
pub(super) fn file(text: &str) -> Result<Source, &'static str> {
    if let Ok(path) = values::directory(text) {
        return Ok(Source::Absolute(path));
    }
    let path = below(text).filter(|path| !path.is_empty());
    path.map(Source::Below).ok_or("the path of a file, absolute or below production, such as “app.env”")
}

/// A path that stays below where it is looked for.
fn below(text: &str) -> Option<String> {
    let plain = !text.is_empty() && !text.chars().any(char::is_control) && text.len() <= values::PATH_MAX;
    let parts = Path::new(text).components().filter(|c| *c != Component::CurDir);
    let parts: Option<Vec<&str>> = parts.map(|c| if let Component::Normal(part) = c { part.to_str() } else { None }).collect();
    parts.filter(|_| plain).map(|parts| parts.join("/"))
}

/// The absolute path of a file.
pub(super) fn absolute_file(text: &str) -> Result<PathBuf, &'static str> {
    values::directory(text).map_err(|_| "the absolute path of a file")
}

/// The absolute path of a program.
pub(super) fn program(text: &str) -> Result<PathBuf, &'static str> {
    values::directory(text).map_err(|_| "the absolute path of a program, such as “/usr/local/bin/worker”")
}

/// The name of a variable.
pub(super) fn variable(text: &str) -> Result<String, &'static str> {
    let plain = !text.is_empty() && !text.contains(|c: char| c == '=' || c.is_whitespace() || c.is_control());
    if plain { Ok(text.to_owned()) } else { Err("the name of a variable, without “=” and spaces") }
}

/// The name of a secret.
pub(super) fn secret_name(text: &str) -> Result<String, &'static str> {
    let fits = is_name(text) && text.len() <= SECRET_NAME_MAX;
    if fits { Ok(text.to_owned()) } else { Err("the name of a secret: 1 to 64 of A-Z a-z 0-9 _ - ., starting with a letter or digit") }
}

fn is_name(text: &str) -> bool {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    plain && text.len() <= NAME_MAX && text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// `user` or `user:group`.
pub(super) fn user(text: &str) -> Result<String, &'static str> {
    let is_one = |part: &str| part.starts_with('_') || is_name(part);
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | ':')) && text.len() <= NAME_MAX;
    let fits = plain && text.split(':').count() <= 2 && text.split(':').all(is_one);
    if fits { Ok(text.to_owned()) } else { Err("a user, or a user and a group, such as “1000:1000”") }
}

/// A network.
pub(super) fn network(text: &str) -> Result<Network, &'static str> {
    match text {
        "host" => Ok(Network::Host),
        "none" => Ok(Network::None),
        name if is_name(name) => Ok(Network::Named(name.to_owned())),
        _ => Err("“host”, “none”, “bridge” or the name of a network"),
    }
}

/// Memory in bytes, `256m`.
pub(super) fn memory(text: &str) -> Result<u64, &'static str> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: Option<u64> = match text.get(digits.len()..).unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "k" | "kb" => Some(1 << 10),
        "m" | "mb" => Some(1 << 20),
        "g" | "gb" => Some(1 << 30),
        _ => None,
    };
    let count = digits.parse::<u64>().ok().filter(|n| n.to_string() == digits);
    let size = count.zip(factor).and_then(|(count, factor)| count.checked_mul(factor));
    size.filter(|size| (MEMORY_MIN..=MEMORY_MAX).contains(size)).ok_or("a size of at least 6m, such as “256m” or “2g”")
}

/// When a service is started again.
pub(super) fn restart(text: &str) -> Result<RestartRule, &'static str> {
    const EXPECTED: &str = "“no”, “always”, “unless-stopped”, “on-failure”, or “on-failure:5” for at most five times in a row";
    match text {
        "no" => Ok(RestartRule::No),
        "always" => Ok(RestartRule::Always),
        "unless-stopped" => Ok(RestartRule::UnlessStopped),
        "on-failure" => Ok(RestartRule::OnFailure(0)),
        _ => {
            let most = text.strip_prefix("on-failure:").filter(|most| most.len() <= 9);
            let most = most.and_then(|most| most.parse::<u32>().ok().filter(|n| *n > 0 && n.to_string() == most));
            most.map(RestartRule::OnFailure).ok_or(EXPECTED)
        }
    }
}

/// An address that takes connections, `host:port`.
pub(super) fn tcp(text: &str) -> Result<String, &'static str> {
    let (host, port) = text.rsplit_once(':').unwrap_or_default();
    let named = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    let fits = (named || host.starts_with('[') && ip(host).is_some()) && number(port).is_some();
    if fits { Ok(text.to_owned()) } else { Err("a host and a port, such as “127.0.0.1:5432”") }
}

/// A service of a compose project, or of whichever has it.
pub(super) fn compose_service(text: &str) -> Result<Way, &'static str> {
    const EXPECTED: &str = "a compose service, “project/service” or “service”";
    let (project, service) = text.split_once('/').map_or((None, text), |(project, service)| (Some(project), service));
    let project = project.map(values::compose_name).transpose().map_err(|_| EXPECTED)?;
    let service = ServiceName::new(service).map_err(|_| EXPECTED)?;
    Ok(Way::Compose { project, service })
}

/// A pattern for the names of containers.
pub(super) fn name_pattern(text: &str) -> Result<String, String> {
    const SUCH_AS: &str = "a pattern for names, such as “web-*”";
    if text.is_empty() || text.len() > PATTERN_MAX || text.chars().any(char::is_control) {
        return Err(format!("{SUCH_AS}, of at most {PATTERN_MAX} bytes"));
    }
    match globset::Glob::new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(why) => Err(format!("{SUCH_AS} ({})", why.kind())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images() {
        for good in [
            "nginx",
            "nginx:1.27-alpine",
            "team/app",
            "localhost/app",
            "registry.example:5000/team/my_app__x:v1",
            "a.b/c--d@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(image(good).as_deref(), Ok(good));
        }
        for bad in ["", "Nginx", "a//b", "a/", "/a", "a:", "a b", "-a", "a..b", "a@sha256:12", "a:b:c", "http://a/b", "a:70000/b", "-x.y/a"]
        {
            assert!(image(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ports() {
        assert_eq!(container_port("53/udp"), Ok((53, "udp".to_owned())));
        for (text, address, port) in [
            ("80", "", 80),
            ("127.0.0.1:80", "127.0.0.1", 80),
            ("[::1]:80", "::1", 80),
            ("auto", "", 0),
            ("127.0.0.1:auto", "127.0.0.1", 0),
        ] {
            assert_eq!(host_port(text), Ok((address.to_owned(), port)), "{text}");
        }
        for bad in ["", "0", "080", "65536", "+80", "80/icmp", "80/"] {
            assert!(container_port(bad).is_err(), "{bad}");
        }
        for bad in ["", "0", ":80", "localhost:80", "::1:80", "[127.0.0.1]:80", "80-81", "1.2.3.4:"] {
            assert!(host_port(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [("256m", 256 << 20), ("6291456", 6 << 20), ("2G", 2 << 30), ("8192kb", 8 << 20)] {
            assert_eq!(memory(text), Ok(bytes), "{text}");
        }
        for bad in ["", "5m", "m", "256 m", "0x10", "1.5g", "-1g", "99999999999g", "256mm", "010m", "２g"] {
            assert!(memory(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_mounted_and_where() {
        let kind = |text| match mount_source(text) {
            Ok(Source::Absolute(path)) => format!("path {}", path.display()),
            Ok(Source::Below(path)) => format!("below {path}"),
            Ok(Source::Volume(name)) => format!("volume {name}"),
            Err(_) => "bad".to_owned(),
        };
        for (text, expected) in [
            ("/srv//data/", "path /srv/data"),
            ("/", "path /"),
            ("./data", "below data"),
            (".", "below "),
            ("./a/./b/", "below a/b"),
            ("pgdata", "volume pgdata"),
            ("", "bad"),
            ("x", "bad"),
            ("data/x", "bad"),
            ("../x", "bad"),
            ("./../x", "bad"),
            ("~/x", "bad"),
            ("/srv/../etc", "bad"),
            (".hidden", "bad"),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
        assert_eq!(mount_target("/data:ro"), Ok(("/data".to_owned(), true)));
        for bad in ["", "/", "data", "/data:rw", "/a:b", "/a/../b", ":ro"] {
            assert!(mount_target(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn other_words() {
        assert_eq!(restart("on-failure:5"), Ok(RestartRule::OnFailure(5)));
        for bad in ["", "No", "on-failure:", "on-failure:0", "on-failure:-1", "on-failure:05"] {
            assert!(restart(bad).is_err(), "{bad}");
        }
        for good in ["0", "root", "1000:1000", "_x:y", "a.b"] {
            assert!(user(good).is_ok(), "{good}");
        }
        for bad in ["", ":", "a:", "a:b:c", "a b", "-a"] {
            assert!(user(bad).is_err(), "{bad}");
        }
        for good in ["a:1", "127.0.0.1:5432", "[::1]:80", "db.local:65535"] {
            assert!(tcp(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "a:", ":1", "a:0", "::1:80", "[x]:1", "a b:1"] {
            assert!(tcp(bad).is_err(), "{bad}");
        }
        assert!(name_pattern("web-*").is_ok() && name_pattern("{a,b").is_err() && name_pattern("").is_err());
        assert!(compose_service("shop/web").is_ok() && compose_service("Shop/web").is_err() && compose_service("a/b/c").is_err());
    }
}

//! What services mount of the host and is not there: the engine would make an empty directory, whatever was meant.

use crate::domain::failure::Failure;
use crate::domain::project::ServiceName;
use crate::domain::text::listing;
use crate::domain::untrusted::UntrustedText;

/// How many paths a message names.
const NAMED: usize = 4;

/// Endings of names that are files, as far as anybody can tell.
const ENDINGS: [&str; 50] = [
    "acl",
    "cer",
    "cert",
    "cfg",
    "cnf",
    "conf",
    "config",
    "cron",
    "crt",
    "css",
    "csv",
    "db",
    "env",
    "hcl",
    "html",
    "htpasswd",
    "ini",
    "j2",
    "jks",
    "js",
    "json",
    "key",
    "lock",
    "log",
    "lua",
    "md",
    "p12",
    "pem",
    "php",
    "pl",
    "properties",
    "pub",
    "py",
    "rb",
    "rules",
    "service",
    "sh",
    "sock",
    "sql",
    "sqlite",
    "template",
    "tmpl",
    "toml",
    "ts",
    "tsv",
    "txt",
    "xml",
    "yaml",
    "yml",
    "htm",
];
/// Names without an ending that are files.
const FILES: [&str; 8] = ["Caddyfile", "Corefile", "Dockerfile", "Makefile", "crontab", "hosts", "passwd", "group"];

/// Something that a service mounts and that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingSource {
    /// The service.
    pub service: ServiceName,
    /// The path on the host, as the compose file has it where it is relative.
    pub path: String,
    /// Where it is in the container.
    pub target: String,
    /// Whether the container may only read it.
    pub read_only: bool,
    /// Whether the engine makes a directory in its place.
    pub is_made: bool,
    /// Whether the workspace has it and a deploy does not copy it.
    pub excluded: bool,
    /// Whether it is a path of production.
    pub in_production: bool,
}

impl MissingSource {
    /// Whether a directory in its place cannot be what was meant.
    fn is_file(&self) -> bool {
        is_file(&self.path) || is_file(&self.target)
    }

    fn words(&self) -> String {
        let path = UntrustedText::from(&self.path);
        let where_not = match (self.in_production, self.excluded) {
            (true, true) => "is excluded from what is copied, and not in production",
            (true, false) => "is neither in the workspace nor in production",
            (false, _) => "is not there",
        };
        format!("{} mounts {path}, which {where_not}", self.service)
    }
}

/// Whether a path names a file, as far as anybody can tell.
fn is_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    FILES.contains(&name) || name.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending))
}

/// Refuses what no container could start with, or would start with a directory in the place of a file.
///
/// # Errors
/// There is such a source.
pub(super) fn refuse_missing(what: &str, missing: &[MissingSource]) -> Result<(), Failure> {
    let fatal: Vec<&MissingSource> =
        missing.iter().filter(|source| source.in_production && (!source.is_made || source.is_file())).collect();
    let Some(first) = fatal.first() else { return Ok(()) };
    let more = fatal.len().checked_sub(NAMED).filter(|n| *n > 0).map_or_else(String::new, |n| format!("; and {n} more"));
    let all = fatal.iter().take(NAMED).map(|source| source.words()).collect::<Vec<_>>().join("; ");
    let then = if first.is_made { ". The engine would make an empty directory there" } else { "" };
    let next = match first.excluded {
        true => "Take it out of \"exclude\" in projects.json, or put it into production.",
        false => "Put it into the workspace, or take the mount out of the compose file.",
    };
    Err(Failure::new(what, format!("{all}{more}{then}."), next))
}

/// What is said of directories that a service would only read and find empty, and of what is missing outside production: the engine
/// may see another file system than we do.
pub(super) fn warnings(missing: &[MissingSource]) -> Vec<String> {
    let words = |wanted: &dyn Fn(&&MissingSource) -> bool| missing.iter().filter(wanted).map(MissingSource::words).collect::<Vec<_>>();
    let empty = words(&|source| source.in_production && source.read_only && source.is_made && !source.is_file());
    let elsewhere = words(&|source| !source.in_production && (!source.is_made || source.is_file()));
    let then = [(empty, "the engine makes an empty directory there"), (elsewhere, "look whether the engine has it")];
    then.into_iter().filter(|(all, _)| !all.is_empty()).map(|(all, then)| format!("{}: {then}.", listing(all, NAMED))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn missing(path: &str, target: &str) -> MissingSource {
        MissingSource {
            service: ServiceName::new("web").unwrap(),
            path: path.into(),
            target: target.into(),
            read_only: true,
            is_made: true,
            excluded: false,
            in_production: true,
        }
    }

    #[test]
    fn missing_file_is_refused_and_missing_directory_told() {
        let refused = |missing: MissingSource| refuse_missing("No.", &[missing]).map_err(|e| format!("{e} {}", e.next)).err();
        let lines: Vec<String> = [
            missing("./app.yml", "/app.yml"),
            missing("./settings", "/etc/nginx/nginx.conf"),
            MissingSource { excluded: true, ..missing("./app.env", "/app.env") },
            MissingSource { is_made: false, ..missing("./data", "/data") },
        ]
        .into_iter()
        .filter_map(refused)
        .collect();
        expect![[r#"
            No. web mounts `./app.yml`, which is neither in the workspace nor in production. The engine would make an empty directory there. Put it into the workspace, or take the mount out of the compose file.
            No. web mounts `./settings`, which is neither in the workspace nor in production. The engine would make an empty directory there. Put it into the workspace, or take the mount out of the compose file.
            No. web mounts `./app.env`, which is excluded from what is copied, and not in production. The engine would make an empty directory there. Take it out of "exclude" in projects.json, or put it into production.
            No. web mounts `./data`, which is neither in the workspace nor in production. Put it into the workspace, or take the mount out of the compose file."#]].assert_eq(&lines.join("\n"));
        let directory = missing("./conf.d", "/etc/conf.d");
        assert_eq!(refuse_missing("No.", std::slice::from_ref(&directory)), Ok(()));
        assert_eq!(
            warnings(std::slice::from_ref(&directory)),
            ["web mounts `./conf.d`, which is neither in the workspace nor in production: the engine makes an empty directory there."]
        );
        let socket = MissingSource { in_production: false, ..missing("/run/app.sock", "/app.sock") };
        assert_eq!(refuse_missing("No.", std::slice::from_ref(&socket)), Ok(()), "the engine may see it");
        assert_eq!(warnings(&[socket]), ["web mounts `/run/app.sock`, which is not there: look whether the engine has it."]);
        assert!(warnings(&[MissingSource { read_only: false, ..directory }]).is_empty(), "a service fills it");
    }
}

//! Who may pull from which registry, as Docker's own `config.json` says it. Pure.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use super::create::Login;
use crate::domain::untrusted::UntrustedText;

/// What Docker's hub is called where logins are kept.
const HUB: &str = "https://index.docker.io/v1/";
/// The names by which it is meant.
const HUB_NAMES: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    identitytoken: String,
}

/// The registry that an image comes from.
pub fn registry_of(image: &str) -> &str {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => HUB_NAMES[0],
    }
}

/// The login for an image's registry; none where the file has none for it.
///
/// # Errors
/// The file cannot be understood. Nothing of what it holds is told.
pub fn login(text: &str, image: &str) -> Result<Option<Login>, String> {
    let file: File = serde_json::from_str(text).map_err(|e| format!("it is no JSON with “auths” (line {})", e.line()))?;
    let registry = registry_of(image);
    let is_meant = |key: &str| {
        let host = key.trim_start_matches("https://").trim_start_matches("http://").split('/').next().unwrap_or_default();
        host == registry || (HUB_NAMES.contains(&registry) && (key == HUB || HUB_NAMES.contains(&host)))
    };
    let Some((key, entry)) = file.auths.into_iter().find(|(key, _)| is_meant(key)) else { return Ok(None) };
    let (mut user, mut password) = (entry.username, entry.password);
    if !entry.auth.is_empty() {
        let wrong = || format!("what it has for {} is not “user:password” in base64", UntrustedText::from(registry));
        let decoded = BASE64_STANDARD.decode(entry.auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let decoded = decoded.ok_or_else(wrong)?;
        let (name, secret) = decoded.split_once(':').ok_or_else(wrong)?;
        (user, password) = (name.to_owned(), secret.trim_end_matches('\0').to_owned());
    }
    let identity_token = Some(entry.identitytoken).filter(|token| !token.is_empty());
    Ok(Some(Login { registry: key, user, password, identity_token }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_of_the_image_s_registry_is_found() {
        let text = r#"{ "auths": { "registry.example.com:5000": { "auth": "YW5uOnNlY3JldDp4" }, "https://index.docker.io/v1/": { "username": "hub", "password": "p" } },
                        "credsStore": "desktop" }"#;
        let of = |image: &str| login(text, image).unwrap().map(|l| format!("{} {}", l.user, l.password));
        assert_eq!(of("registry.example.com:5000/shop/web:1").as_deref(), Some("ann secret:x"));
        assert_eq!(of("registry.example.com/shop/web").as_deref(), None);
        assert_eq!(of("nginx").as_deref(), Some("hub p"));
        assert_eq!(of("library/nginx:1").as_deref(), Some("hub p"));
    }

    #[test]
    fn what_is_wrong_with_the_file_is_told_without_what_it_holds() {
        let wrong = |text: &str| login(text, "r.example/x").err().unwrap_or_default();
        assert_eq!(wrong("{ \"auths\": { \"r.example\": \"secret\" } }"), "it is no JSON with “auths” (line 1)");
        assert_eq!(
            wrong(r#"{ "auths": { "r.example": { "auth": "secret" } } }"#),
            "what it has for `r.example` is not “user:password” in base64"
        );
    }
}

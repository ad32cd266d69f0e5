//! The configuration that Compose builds images from: the build sections and nothing else. What a service runs with (its `env_file`, its
//! mounts) need not be where an image is built, and production's own names must not move before a release arrives.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::Resolved;
use crate::domain::project::ServiceName;

/// What of a service makes a difference to its image.
const KEYS: [&str; 2] = ["build", "platform"];

/// Where the files of a build are.
pub struct BuildPlaces<'a> {
    /// The directory for which the configuration was resolved.
    pub production: &'a Path,
    /// The one that is built from.
    pub stage: &'a Path,
}

impl Resolved {
    /// The services whose images are built.
    fn built(&self) -> BTreeSet<ServiceName> {
        let services = self.0.get("services").and_then(Value::as_object).into_iter().flatten();
        let built = services.filter(|(_, service)| service.get("build").is_some_and(Value::is_object));
        built.filter_map(|(name, _)| ServiceName::new(name).ok()).collect()
    }

    /// The text to hand to Compose so that it builds images: each under the name that `image` gives it, from the files of the
    /// stage. A secret of a build that the stage does not hold is production's own.
    pub fn to_build(&self, places: &BuildPlaces<'_>, image: &dyn Fn(&ServiceName) -> String) -> Vec<u8> {
        let mut services = Map::new();
        for name in self.built() {
            let service = self.0.get("services").and_then(|all| all.get(name.as_str()));
            let kept = KEYS.iter().filter_map(|key| Some(((*key).to_owned(), service?.get(key)?.clone())));
            let mut reduced: Map<String, Value> = kept.collect();
            if let Some(Value::Object(build)) = reduced.get_mut("build") {
                places.relocate(build);
            }
            reduced.insert("image".to_owned(), Value::String(image(&name)));
            services.insert(name.to_string(), Value::Object(reduced));
        }
        let mut all = Map::from_iter([("services".to_owned(), Value::Object(services))]);
        if let Some(name) = self.0.get("name") {
            all.insert("name".to_owned(), name.clone());
        }
        if let Some(Value::Object(secrets)) = self.0.get("secrets") {
            let mut secrets = secrets.clone();
            for secret in secrets.values_mut() {
                if let Some(Value::String(file)) = secret.get_mut("file") {
                    let staged = places.moved(file).filter(|path| path.is_file());
                    staged.into_iter().for_each(|path| *file = path.to_string_lossy().into_owned());
                }
            }
            all.insert("secrets".to_owned(), Value::Object(secrets));
        }
        Value::Object(all).to_string().into_bytes()
    }
}

impl BuildPlaces<'_> {
    /// Where a path of production is in the stage; none where it is no path of production.
    fn moved(&self, path: &str) -> Option<PathBuf> {
        let below = Path::new(path).strip_prefix(self.production).ok()?;
        Some(if below.as_os_str().is_empty() { self.stage.to_owned() } else { self.stage.join(below) })
    }

    fn relocate(&self, build: &mut Map<String, Value>) {
        let relocate = |value: &mut Value| {
            let moved = value.as_str().and_then(|path| self.moved(path));
            if let Some(moved) = moved {
                *value = Value::String(moved.to_string_lossy().into_owned());
            }
        };
        ["context", "dockerfile"].into_iter().for_each(|key| build.get_mut(key).into_iter().for_each(relocate));
        let additional = build.get_mut("additional_contexts").and_then(Value::as_object_mut);
        additional.into_iter().flat_map(Map::values_mut).for_each(relocate);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn builds_get_their_sections_with_the_paths_of_the_stage() {
        let stage = tempfile::tempdir().unwrap();
        std::fs::write(stage.path().join("token"), "x").unwrap();
        let value = json!({
            "name": "shop",
            "services": {
                "api": {
                    "platform": "linux/amd64", "image": "example/api", "environment": { "SECRET": "x" }, "env_file": ["/srv/shop/.env"],
                    "build": {
                        "context": "/srv/shop/api/../lib", "dockerfile": "/srv/shop/Dockerfile",
                        "additional_contexts": { "a": "/srv/shop", "b": "docker-image://alpine", "c": "service:lib" },
                        "args": { "ROOT": "/srv/shop", "PRICE": "5$$" }, "secrets": [{ "source": "token" }], "ssh": ["default"]
                    }
                },
                "lib": { "build": { "context": "https://example.org/x.git", "dockerfile_inline": "FROM scratch\nLABEL a=/srv/shop" } },
                "db": { "image": "postgres" }
            },
            "secrets": { "token": { "file": "/srv/shop/token" }, "own": { "file": "/srv/shop/own" }, "env": { "environment": "X" } }
        });
        let resolved = Resolved::parse(value.to_string().as_bytes()).unwrap();
        let places = BuildPlaces { production: Path::new("/srv/shop"), stage: stage.path() };
        let built: Value = serde_json::from_slice(&resolved.to_build(&places, &|name| format!("own/{name}:3"))).unwrap();
        let at = |path: &str| stage.path().join(path).display().to_string();
        assert_eq!(
            built,
            json!({
                "name": "shop",
                "services": {
                    "api": {
                        "platform": "linux/amd64", "image": "own/api:3",
                        "build": {
                            "context": at("api/../lib"), "dockerfile": at("Dockerfile"),
                            "additional_contexts": {
                                "a": stage.path().display().to_string(), "b": "docker-image://alpine", "c": "service:lib"
                            },
                            "args": { "ROOT": "/srv/shop", "PRICE": "5$$" }, "secrets": [{ "source": "token" }], "ssh": ["default"]
                        }
                    },
                    "lib": {
                        "image": "own/lib:3",
                        "build": { "context": "https://example.org/x.git", "dockerfile_inline": "FROM scratch\nLABEL a=/srv/shop" }
                    }
                },
                "secrets": { "token": { "file": at("token") }, "own": { "file": "/srv/shop/own" }, "env": { "environment": "X" } }
            })
        );
    }
}

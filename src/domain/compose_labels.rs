//! Which containers Docker Compose takes for its own, by their labels.
//!
//! Compose labels the images that it builds as well, and every container that is made from such an image inherits those labels. So a
//! project's name and a service's name say nothing by themselves: Compose itself goes by the hash of the configuration, the number
//! of the container, and that it was not made for one command.

use std::collections::BTreeMap;

use super::managed::label::MANAGED;

/// The compose project.
pub const PROJECT: &str = "com.docker.compose.project";
/// The service in it.
pub const SERVICE: &str = "com.docker.compose.service";
/// The hash of the definition that the container was made from.
pub const CONFIG_HASH: &str = "com.docker.compose.config-hash";
/// The version of Compose that made the container.
pub const VERSION: &str = "com.docker.compose.version";
/// The directory that Compose was called for.
pub const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
const CONTAINER_NUMBER: &str = "com.docker.compose.container-number";
const ONE_OFF: &str = "com.docker.compose.oneoff";
const REPLACE: &str = "com.docker.compose.replace";
/// How many characters of the replaced container's id stand before the name of one that is to take its place.
const SHORT_ID: usize = 12;

/// Labels by their names.
pub type Labels = BTreeMap<String, String>;

/// The compose project and the service that a container belongs to; none where Compose would not take it for one of its own.
pub fn owner(labels: &Labels) -> Option<(&str, &str)> {
    let label = |name: &str| labels.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let is_one_off = label(ONE_OFF).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if is_one_off || labels.contains_key(MANAGED) {
        return None;
    }
    label(CONFIG_HASH).and(label(CONTAINER_NUMBER))?;
    label(PROJECT).zip(label(SERVICE))
}

/// Whether a container that never started is one which Compose has made to take another's place, and not renamed yet:
/// `3f2a0c1b9d8e_shop-web-1`. The label alone says nothing, it stays for life.
pub fn is_transitional(name: &str, labels: &Labels) -> bool {
    let hex = |text: &str| text.len() == SHORT_ID && text.bytes().all(|b| b.is_ascii_hexdigit());
    labels.contains_key(REPLACE) && name.split_once('_').is_some_and(|(id, rest)| hex(id) && !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(more: &[(&str, &str)]) -> Labels {
        let own = [(PROJECT, "shop"), (SERVICE, "web"), (CONFIG_HASH, "0a1b"), (CONTAINER_NUMBER, "1"), (ONE_OFF, "False")];
        own.iter().chain(more).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn compose_owns_what_it_made_itself() {
        assert_eq!(owner(&labels(&[])), Some(("shop", "web")));
        for (why, others) in [
            ("made for one command", labels(&[(ONE_OFF, "True")])),
            ("made by dockmaster from an image that Compose built", labels(&[(MANAGED, "true")])),
            ("its labels are emptied", labels(&[(PROJECT, "")])),
        ] {
            assert_eq!(owner(&others), None, "{why}");
        }
        for missing in [CONFIG_HASH, CONTAINER_NUMBER, PROJECT, SERVICE] {
            let mut inherited = labels(&[]);
            inherited.remove(missing);
            assert_eq!(owner(&inherited), None, "without {missing}");
        }
    }

    #[test]
    fn a_replacement_is_transitional_until_it_is_renamed() {
        let replacing = labels(&[(REPLACE, "shop-web-1")]);
        assert!(is_transitional("3f2a0c1b9d8e_shop-web-1", &replacing));
        assert!(!is_transitional("shop-web-1", &replacing), "the label stays for life");
        assert!(!is_transitional("3f2a0c1b9d8e_shop-web-1", &labels(&[])));
        assert!(!is_transitional("3f2a_web", &replacing));
    }
}

//! Names as people type them: any case, never guessed.

use super::text::listing;

/// What a typed name turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match<T> {
    /// Exactly one, apart from case.
    Found(T),
    /// None; these are the nearest, best first (may be empty).
    Unknown(Vec<T>),
}

/// How alike (Jaro-Winkler, 0 to 1) a name must be to be offered.
const NEAR: f64 = 0.7;
/// How many near names are offered.
const OFFERED: usize = 3;
/// How many names are listed.
const LISTED: usize = 10;

/// Finds a typed name among known ones: the same letters win over the same letters in another case.
pub fn find<'a, T: AsRef<str> + ?Sized>(typed: &str, known: impl IntoIterator<Item = &'a T>) -> Match<&'a T> {
    let known: Vec<&T> = known.into_iter().collect();
    let same = known.iter().find(|k| k.as_ref() == typed);
    if let Some(found) = same.or_else(|| known.iter().find(|k| k.as_ref().eq_ignore_ascii_case(typed))) {
        return Match::Found(found);
    }
    let lower = typed.to_lowercase();
    let mut near: Vec<(f64, &T)> =
        known.into_iter().map(|k| (alike(&lower, &k.as_ref().to_lowercase()), k)).filter(|(alike, _)| *alike >= NEAR).collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    Match::Unknown(near.into_iter().take(OFFERED).map(|(_, k)| k).collect())
}

/// How alike two names are, from 0 to 1. In a short name two letters that changed places weigh too much for Jaro and
/// Winkler: one slip of the finger is always near.
fn alike(typed: &str, known: &str) -> f64 {
    let alike = strsim::jaro_winkler(typed, known);
    let slip = typed.chars().count() > 2 && strsim::osa_distance(typed, known) == 1;
    if slip { alike.max(NEAR) } else { alike }
}

/// What to offer for a service's name that is not there.
pub fn offer<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let all = format!("It has {}.", listing(&known, LISTED));
    match find(typed, known.iter().copied()) {
        Match::Unknown(near) if !near.is_empty() && known.len() > near.len() => format!("Nearest: {}. {all}", listing(near, OFFERED)),
        _ => all,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_case_matches_and_nothing_is_guessed() {
        let known = ["shop", "Shop-Admin", "edge"];
        assert_eq!(find("SHOP", known.iter().copied()), Match::Found("shop"));
        assert_eq!(find("shp", known.iter().copied()), Match::Unknown(vec!["shop", "Shop-Admin"]));
        assert_eq!(find("-rf", known.iter().copied()), Match::Unknown(vec![]));
    }

    #[test]
    fn the_nearest_names_are_offered_first() {
        let known = ["api", "web", "worker"];
        assert_eq!(offer("wbe", known.iter().copied()), "Nearest: web. It has api, web, worker.");
        assert_eq!(offer("nope", known.iter().copied()), "It has api, web, worker.");
        assert_eq!(offer("wbe", ["web"]), "It has web.");
    }
}

//! Names as people type them: any case, never guessed.

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

/// Finds a typed name among known ones: the same letters win over the same letters in another case.
pub fn find<'a, T: AsRef<str> + ?Sized>(typed: &str, known: impl IntoIterator<Item = &'a T>) -> Match<&'a T> {
    let known: Vec<&T> = known.into_iter().collect();
    let same = known.iter().find(|k| k.as_ref() == typed);
    if let Some(found) = same.or_else(|| known.iter().find(|k| k.as_ref().eq_ignore_ascii_case(typed))) {
        return Match::Found(found);
    }
    let lower = typed.to_lowercase();
    let mut near: Vec<(f64, &T)> = known
        .into_iter()
        .map(|k| (strsim::jaro_winkler(&lower, &k.as_ref().to_lowercase()), k))
        .filter(|(alike, _)| *alike >= NEAR)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    Match::Unknown(near.into_iter().take(OFFERED).map(|(_, k)| k).collect())
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
}

//! Which volumes there are, in our types. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// A volume of the engine's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Its driver.
    pub driver: String,
    /// Where it is on the host.
    pub path: PathBuf,
    /// Whether it is memory, which goes with the last container that has it mounted.
    pub memory: bool,
    /// The compose project that it belongs to.
    pub project: Option<String>,
    /// What its driver was told.
    pub options: BTreeMap<String, String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// What the options of a memory file system say: the most that it can hold, in bytes, and whether it can be written to.
pub(super) fn memory_options(options: &str) -> (Option<u64>, bool) {
    let size = options.split(',').find_map(|option| option.trim().strip_prefix("size=")).and_then(memory_size);
    (size, !options.split(',').any(|option| option.trim() == "ro"))
}

/// A size as the kernel reads it: bytes, or with a `k`, `m` or `g` behind. A part of the memory (`50%`) is none.
fn memory_size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let shift = match text[digits..].to_ascii_lowercase().as_str() {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        _ => return None,
    };
    text[..digits].parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_memory() {
        for (options, said) in [
            ("", (None, true)),
            ("size=64m,mode=1777", (Some(64 << 20), true)),
            ("rw,noexec,size=65536k", (Some(64 << 20), true)),
            ("ro,size=4096", (Some(4_096), false)),
            ("size=50%", (None, true)),
            ("size=99999999999999999999", (None, true)),
            ("size=99999999999g", (None, true)),
        ] {
            assert_eq!(memory_options(options), said, "{options}");
        }
    }
}

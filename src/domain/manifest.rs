//! A tree of files as path, mode and content; what differs between two; a digest that stands for one.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::untrusted::UntrustedText;

/// A path below the root of a tree, as bytes: file names need not be text. Never starts with `/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct TreePath(Vec<u8>);

impl TreePath {
    /// A path from its bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is `root` itself or below it. An empty root is above everything.
    pub fn is_within(&self, root: &TreePath) -> bool {
        root.0.is_empty() || self.0 == root.0 || (self.0.starts_with(&root.0) && self.0.get(root.0.len()) == Some(&b'/'))
    }

    /// The path itself and those above it, the empty one last.
    pub fn ancestors(&self) -> impl Iterator<Item = TreePath> + '_ {
        let slashes = self.0.iter().enumerate().rev().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
        let root = (!self.0.is_empty()).then_some(0);
        std::iter::once(self.0.len()).chain(slashes).chain(root).map(|end| Self(self.0[..end].to_vec()))
    }

    /// The path relative to `root`, which it is within.
    pub fn relative_to(&self, root: &TreePath) -> TreePath {
        match root.0.len() {
            0 => self.clone(),
            length => Self(self.0.get(length + 1..).unwrap_or_default().to_vec()),
        }
    }

    /// The last part of the path.
    pub fn file_name(&self) -> &[u8] {
        self.0.rsplit(|b| *b == b'/').next().unwrap_or(&self.0)
    }
}

impl From<&str> for TreePath {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl TreePath {
    /// Printable and reversible: a backslash, control characters and what is not UTF-8 become `\xNN`.
    pub fn written(&self) -> String {
        let mut text = String::new();
        let spell = |text: &mut String, byte: u8| text.push_str(&format!("\\x{byte:02x}"));
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c == '\\' || c.is_control() {
                    let mut buffer = [0; 4];
                    c.encode_utf8(&mut buffer).bytes().for_each(|byte| spell(&mut text, byte));
                } else {
                    text.push(c);
                }
            }
            chunk.invalid().iter().for_each(|byte| spell(&mut text, *byte));
        }
        text
    }
}

/// As text from outside.
impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        UntrustedText::new(self.written()).fmt(f)
    }
}

impl From<TreePath> for String {
    fn from(path: TreePath) -> String {
        path.written()
    }
}

impl From<String> for TreePath {
    /// The reverse of [`TreePath::written`]; what is no escape stands for itself.
    fn from(text: String) -> Self {
        let bytes = text.as_bytes();
        let mut path = Vec::with_capacity(bytes.len());
        let mut at = 0;
        while at < bytes.len() {
            let escaped = bytes[at..].strip_prefix(b"\\x").and_then(|rest| rest.get(..2));
            let value = escaped.and_then(|hex| std::str::from_utf8(hex).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok());
            match value {
                Some(byte) => {
                    path.push(byte);
                    at += 4;
                }
                None => {
                    path.push(bytes[at]);
                    at += 1;
                }
            }
        }
        Self(path)
    }
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A file, by the BLAKE3 hash of its content.
    File {
        /// The hash, in hexadecimal.
        hash: String,
        /// Its size in bytes.
        size: u64,
    },
    /// A symbolic link, by its target.
    Link(TreePath),
    /// A directory.
    Directory,
}

/// What stands at a path, and its permission bits (`0o7777`; 0 for links, which have none of their own).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Entry {
    /// What it is.
    pub node: Node,
    /// Its permission bits.
    pub mode: u32,
}

/// How an entry is written down: `{"file":{..},"mode":..}`, one of three keys beside the mode. By hand, since serde's own
/// way to put an enum beside a field takes everything twice, and a release has an entry for each file.
#[derive(Serialize, Deserialize)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<WrittenFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link: Option<TreePath>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    directory: Option<()>,
    mode: u32,
}

#[derive(Serialize, Deserialize)]
struct WrittenFile {
    hash: String,
    size: u64,
}

/// A key that says something by being there.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<()>, D::Error> {
    <()>::deserialize(deserializer).map(Some)
}

impl From<Entry> for Written {
    fn from(Entry { node, mode }: Entry) -> Self {
        let mut written = Self { file: None, link: None, directory: None, mode };
        match node {
            Node::File { hash, size } => written.file = Some(WrittenFile { hash, size }),
            Node::Link(target) => written.link = Some(target),
            Node::Directory => written.directory = Some(()),
        }
        written
    }
}

impl TryFrom<Written> for Entry {
    type Error = &'static str;

    fn try_from(Written { file, link, directory, mode }: Written) -> Result<Self, Self::Error> {
        let node = match (file, link, directory) {
            (Some(WrittenFile { hash, size }), None, None) => Node::File { hash, size },
            (None, Some(target), None) => Node::Link(target),
            (None, None, Some(())) => Node::Directory,
            _ => return Err("an entry is a file, a link or a directory"),
        };
        Ok(Self { node, mode })
    }
}

impl Entry {
    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.node == Node::Directory
    }
}

/// A tree: what stands at each path, sorted. Clones share it: it may have a million paths, and goes through many hands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest(pub Arc<BTreeMap<TreePath, Entry>>);

impl FromIterator<(TreePath, Entry)> for Manifest {
    fn from_iter<I: IntoIterator<Item = (TreePath, Entry)>>(entries: I) -> Self {
        Self(Arc::new(entries.into_iter().collect()))
    }
}

impl Manifest {
    /// What it holds, to be changed: in a copy, where somebody else has this one, too.
    pub fn to_mut(&mut self) -> &mut BTreeMap<TreePath, Entry> {
        Arc::make_mut(&mut self.0)
    }

    /// How many files and links it holds; directories do not count.
    pub fn files(&self) -> usize {
        self.0.values().filter(|e| !e.is_directory()).count()
    }

    /// The bytes of all its files.
    pub fn bytes(&self) -> u64 {
        self.0.values().map(|e| if let Node::File { size, .. } = e.node { size } else { 0 }).sum()
    }

    /// The bytes of the files that another tree does not hold in the same way.
    pub fn bytes_beyond(&self, held: Option<&Manifest>) -> u64 {
        let beyond = self.0.iter().filter(|(path, entry)| held.is_none_or(|h| h.0.get(*path) != Some(*entry)));
        beyond.map(|(_, e)| if let Node::File { size, .. } = e.node { size } else { 0 }).sum()
    }

    /// Feeds everything that makes this tree this tree to `feed`: equal trees feed equal bytes, and lengths keep
    /// neighbouring fields apart.
    pub fn feed(&self, feed: &mut dyn FnMut(&[u8])) {
        for (path, entry) in &*self.0 {
            let (kind, content): (&[u8], &[u8]) = match &entry.node {
                Node::File { hash, .. } => (b"f", hash.as_bytes()),
                Node::Link(target) => (b"l", target.bytes()),
                Node::Directory => (b"d", b""),
            };
            for field in [kind, path.bytes(), &entry.mode.to_le_bytes(), content] {
                feed(&(field.len() as u64).to_le_bytes());
                feed(field);
            }
        }
    }

    /// Whether there is nothing below a path.
    pub fn is_empty_at(&self, path: &TreePath) -> bool {
        let below = TreePath([path.bytes(), b"/"].concat());
        !self.0.range(below..).next().is_some_and(|(next, _)| next.is_within(path))
    }

    /// The part at or below a path.
    pub fn below(&self, root: &TreePath) -> Manifest {
        self.0.iter().filter(|(p, _)| p.is_within(root)).map(|(p, e)| (p.clone(), e.clone())).collect()
    }
}

/// What bringing one tree into the place of another changes. Directories are listed only where they are new and empty, or
/// where their mode changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// In the new tree only.
    pub added: Vec<TreePath>,
    /// In both, with other content or mode.
    pub changed: Vec<TreePath>,
    /// Put there by the last release and no longer in the new tree.
    pub deleted: Vec<TreePath>,
    /// In the old tree only, and not ours: kept.
    pub kept: Vec<TreePath>,
    /// Among the changed and deleted: edited by hand since the last release.
    pub edited: Vec<TreePath>,
}

impl Changes {
    /// Compares `new` with `old`; `owned` is what the last release put there, where there was one.
    pub fn between(old: &Manifest, new: &Manifest, owned: Option<&Manifest>) -> Self {
        let mut changes = Self::default();
        let ours = |path: &TreePath| owned.and_then(|o| o.0.get(path));
        for (path, entry) in &*new.0 {
            match old.0.get(path) {
                // A directory comes with what is in it, unless there is nothing.
                None if !entry.is_directory() || new.is_empty_at(path) => changes.added.push(path.clone()),
                Some(there) if there != entry => {
                    if owned.is_some() && ours(path) != Some(there) && !there.is_directory() {
                        changes.edited.push(path.clone());
                    }
                    changes.changed.push(path.clone());
                }
                _ => {}
            }
        }
        for (path, there) in old.0.iter().filter(|(path, e)| !e.is_directory() && !new.0.contains_key(path)) {
            match ours(path) {
                // Where a release put a directory, a link that stands there now is somebody else's.
                Some(put) if !put.is_directory() => {
                    if put != there {
                        changes.edited.push(path.clone());
                    }
                    changes.deleted.push(path.clone());
                }
                _ => changes.kept.push(path.clone()),
            }
        }
        changes
    }

    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.deleted.is_empty()
    }

    /// Every path that would change, in no particular order.
    pub fn touched(&self) -> impl Iterator<Item = &TreePath> {
        self.added.iter().chain(&self.changed).chain(&self.deleted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tree(files: &[(&str, &str)]) -> Manifest {
        let entry = |hash: &str| Entry { node: Node::File { hash: hash.into(), size: 1 }, mode: 0o644 };
        files.iter().map(|(p, h)| (TreePath::from(*p), entry(h))).collect()
    }

    #[test]
    fn only_what_a_release_put_there_is_deleted() {
        let owned = tree(&[("a", "1"), ("gone", "1"), ("edited", "1")]);
        let old = tree(&[("a", "1"), ("gone", "1"), ("edited", "2"), ("data.db", "9")]);
        let new = tree(&[("a", "2"), ("b", "1")]);
        let changes = Changes::between(&old, &new, Some(&owned));
        assert_eq!(changes.added, ["b".into()]);
        assert_eq!(changes.changed, ["a".into()]);
        assert_eq!(changes.deleted, ["edited".into(), "gone".into()]);
        assert_eq!(changes.kept, ["data.db".into()]);
        assert_eq!(changes.edited, ["edited".into()]);
        let first = Changes::between(&old, &new, None);
        assert!(first.deleted.is_empty(), "the first deploy owns nothing");
    }

    #[test]
    fn a_new_directory_counts_where_it_is_empty_and_a_link_in_the_place_of_one_is_kept() {
        let directory = Entry { node: Node::Directory, mode: 0o755 };
        let mut new = tree(&[("full/file", "1"), ("full-too", "1")]);
        new.to_mut().insert("full".into(), directory.clone());
        new.to_mut().insert("empty".into(), directory.clone());
        let changes = Changes::between(&Manifest::default(), &new, None);
        assert_eq!(changes.added, ["empty".into(), "full-too".into(), "full/file".into()]);

        let mut owned = Manifest::default();
        owned.to_mut().insert("data".into(), directory);
        let mut old = Manifest::default();
        old.to_mut().insert("data".into(), Entry { node: Node::Link("/mnt/big".into()), mode: 0 });
        let changes = Changes::between(&old, &Manifest::default(), Some(&owned));
        assert_eq!((changes.deleted.len(), changes.kept), (0, vec!["data".into()]));
    }

    #[test]
    fn entries_are_written_down_as_they_always_were() {
        let written = r#"{"a":{"file":{"hash":"1","size":1},"mode":420},"d":{"directory":null,"mode":493},"l":{"link":"a","mode":0}}"#;
        let mut all = tree(&[("a", "1")]);
        all.to_mut().insert("d".into(), Entry { node: Node::Directory, mode: 0o755 });
        all.to_mut().insert("l".into(), Entry { node: Node::Link("a".into()), mode: 0 });
        assert_eq!(serde_json::to_string(&all).unwrap(), written);
        assert_eq!(serde_json::from_str::<Manifest>(written).unwrap(), all);
        for bad in [r#"{"a":{"mode":1}}"#, r#"{"a":{"file":{"hash":"1","size":1},"directory":null,"mode":1}}"#, r#"{"a":{"link":"b"}}"#] {
            assert!(serde_json::from_str::<Manifest>(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn paths_survive_being_written_down(bytes in proptest::collection::vec(1u8.., 1..40)) {
            let path = TreePath::new(bytes);
            prop_assert_eq!(TreePath::from(path.written()), path.clone());
            prop_assert!(!path.written().chars().any(char::is_control));
        }
    }
}

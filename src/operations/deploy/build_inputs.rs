//! What an image is built from.

use std::collections::BTreeSet;
use std::path::Path;

use super::writable::below_production;
use crate::domain::failure::Failure;
use crate::domain::manifest::{Manifest, TreePath};
use crate::domain::plan::BuildFacts;
use crate::domain::project::ServiceName;
use crate::domain::untrusted::UntrustedText;
use crate::engine::compose::BuildSection;
use crate::files::build_ignore::BuildIgnore;

/// Where an image's inputs are, below the workspace, and a hash of them.
pub(super) fn build_facts(
    name: &ServiceName,
    section: &BuildSection,
    ignore: &BuildIgnore,
    staged: &Manifest,
    production: &Path,
    what: &str,
) -> Result<BuildFacts, Failure> {
    let outside = |input: &str| {
        Failure::new(
            what,
            format!("The image of {name} is built from {}, outside the workspace.", UntrustedText::address(input)),
            "A release holds everything that it is built from: move it into the workspace.",
        )
    };
    let inside = |path: &Path, shown: &str| below_production(path, production).ok_or_else(|| outside(shown));
    let context_path = Path::new(&section.context);
    let context = inside(context_path, &section.context)?;
    let dockerfile = section.dockerfile.as_ref().map(|d| inside(&context_path.join(d), d)).transpose()?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(section.hash.as_bytes());
    let mut feed = |bytes: &[u8]| {
        hasher.update(bytes);
    };
    let below = staged.below(&context);
    let ignored: BTreeSet<TreePath> = match ignore.is_empty() {
        true => BTreeSet::new(),
        false => below.0.keys().filter(|path| ignore.ignores(&path.relative_to(&context))).cloned().collect(),
    };
    below.0.iter().filter(|(path, _)| !ignored.contains(*path)).map(|(p, e)| (p.clone(), e.clone())).collect::<Manifest>().feed(&mut feed);
    if let Some(dockerfile) = &dockerfile {
        staged.below(dockerfile).feed(&mut feed);
    }
    let mut additional = Vec::new();
    // Images and addresses are named in the section, whose hash is in already; paths are inputs of their own.
    for more in section.additional.iter().filter(|more| more.starts_with('/')) {
        let path = inside(Path::new(more), more)?;
        staged.below(&path).feed(&mut feed);
        additional.push(path);
    }
    Ok(BuildFacts {
        inputs: hasher.finalize().to_hex().to_string(),
        context,
        dockerfile,
        additional,
        ignored,
        running: None,
        pruned: false,
    })
}

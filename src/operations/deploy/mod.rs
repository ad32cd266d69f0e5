//! Deploying and going back: gathering what the plan needs, the steps, and undoing them.

mod bind_sources;
mod content;
mod declared;
mod gather;
mod layer;
mod links;
mod mounts;
mod named;
mod networks;
mod overlay;
mod places;
mod production;
mod project_name;
mod pull;
mod releases;
mod resources;
mod steps;
mod trees;
mod undo;
mod up;
mod upgrades;
mod variables;
mod writable;

pub(super) use gather::{Facts, gather};
pub(super) use named::check_names;
pub(super) use networks::verify_networks;
pub(super) use places::Coming;
pub(super) use production::{environment, missing_production, production_config, production_only};
pub(super) use project_name::check_project_name;
pub(super) use pull::pull;
pub(super) use releases::{arrive, keep, set_out, sweep};
pub(super) use steps::{build, promote, stage};
pub(super) use undo::{Undoing, put_back, remove, remove_made_directories, stay, undo_steps};
pub(super) use up::{is_as_confirmed, remove_half_made, up};
pub(super) use variables::variables;

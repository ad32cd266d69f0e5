//! Deploying: gathering what the plan needs, and its steps.

mod gather;
mod overlay;
mod steps;
mod up;

pub(super) use gather::{Facts, gather, production_config};
pub(super) use steps::{build, promote, pull, record, stage};
pub(super) use up::up;

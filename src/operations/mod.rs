//! Everything that a front end can ask for, behind one desk.

mod configuration;
mod deploy;
mod desk;
mod insight;
pub mod keeper;
mod lifecycle;
pub mod logs;
pub mod moving;
mod probe;
mod readable;
mod reads;
mod recorder;
mod recovery;
mod registry;
mod relay;
mod remembered;
mod runner;
mod scratch;
mod selftest;
mod sources;
mod status;
mod successor;
mod tools;
mod undo;
mod verify;
mod vitals;

pub use configuration::VersionDiff;
pub use desk::{Desk, Refusal, Running};
pub use recovery::{Successor, recover};
pub use registry::Registry;
pub use relay::remove_helpers;
pub use scratch::Scratch;
pub use selftest::selftest;
pub use successor::NextOne;
pub use tools::{Asked, Clock, Tools, random_name};
pub use vitals::Vitals;

//! Containers: the engine's API and the Compose program.

pub mod compose;
pub mod docker;
pub mod environment;
mod inspect;
mod loglines;
pub mod mountinfo;
pub mod own;
mod shared;
mod transport;

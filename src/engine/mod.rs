//! Containers: the engine's API and the Compose program.

pub mod compose;
pub mod docker;
mod inspect;
mod loglines;
pub mod own;
mod shared;
mod transport;

//! What runs: containers, by the engine's API and the Compose program, and processes of the host.

mod api_version;
mod ask;
pub mod compose;
pub mod create;
pub mod credentials;
pub mod disk;
pub mod docker;
pub mod environment;
pub mod events;
mod fields;
mod find;
mod glance;
pub mod host;
mod inspect;
mod loglines;
pub mod looks;
pub mod mountinfo;
pub mod networks;
pub mod outside;
pub mod own;
pub mod passing;
mod pending_stop;
pub mod registry;
mod shared;
mod transport;
mod usage;
pub mod volumes;
mod wanted;

#[cfg(test)]
mod tests;

//! dockmaster: status, logs, restarts and safe deploys of Docker projects from a chat.
//!
//! The map of the house (arrows are imports; a test holds them):
//!
//! ```text
//! domain <- {config, engine, files, history, process} <- operations <- {telegram, http} <- {app, console} <- {trial, terminal}
//! ```
//!
//! `untrusted` reads files that others can write, for every layer above the domain.
//! `console` is a client of `http`'s control socket, and `terminal` finds or makes the desk behind that. `sandbox` stands
//! beside the front ends and talks to the bot over HTTP only; `trial` puts it and the app together. `supervisor` stands beside
//! `app` and tells a service manager how the front end is.
//! The one way through: a front end turns input into a `Request` with an `Actor`; an operation gathers facts; a pure
//! function makes a `Plan` of them; confirming shows it; running it emits `Event`s; a fold makes the `OperationView`
//! that each front end draws at its own pace.

pub mod app;
pub mod config;
pub mod console;
pub mod domain;
pub mod engine;
pub mod files;
pub mod history;
pub mod http;
pub mod operations;
pub mod process;
pub mod sandbox;
pub mod settings;
pub mod supervisor;
pub mod telegram;
pub mod terminal;
pub mod trial;
pub mod untrusted;

#[path = "../tests/it/support/long.rs"]
#[cfg(test)]
mod long;

//! dockmaster: status, logs, restarts and safe deploys of Docker projects from a chat.
//!
//! The map of the house (arrows are imports; a test holds them):
//!
//! ```text
//! domain <- {config, engine, files, history, process} <- operations <- {telegram, console} <- app
//! ```
//!
//! `sandbox` stands beside the front ends and talks to the bot over HTTP only.

pub mod domain;

//! What stands in for Telegram: an embedded, strict Bot API server on loopback and a chat page for the browser.
//!
//! `dockmaster try` and every integration test run the same dispatcher as production against it. The sandbox talks to
//! the bot over HTTP only: nothing here imports another part of the house, teloxide or bollard.

pub mod bot_api;
mod page;
pub mod sample;
pub mod service;
pub mod transcript;

//! Telegram as a front end. Only what is here speaks to the Bot API, and only `outbox` sends messages.
//!
//! An update is kept in the history before it is acknowledged (`listener`), read and authorised in teloxide's
//! dispatcher (`schema`), and worked on beside it (`conversation`). Everything that people read comes from
//! `domain::words`.

mod activity;
mod api;
mod asked;
mod clock;
mod command;
mod configuring;
mod conversation;
mod follow;
mod front;
mod inbound;
mod lenient;
mod limits;
mod listener;
mod menu;
mod notices;
mod operating;
mod outbox;
mod progress;
mod pulse;
mod reach;
mod reading;
mod refusals;
mod render;
mod run;
mod schema;
mod stale;
mod token;
mod trust;

pub use activity::{Activity, Guard};
pub use command::{BUTTONS, commands};
pub use outbox::Pace;
pub use pulse::Pulse;
pub use run::{Connection, TelegramError, run};
pub use token::{BadToken, BotToken};

#[cfg(test)]
mod tests;

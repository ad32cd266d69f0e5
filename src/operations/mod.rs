//! Everything that a front end can ask for, behind one desk.

mod desk;
pub mod logs;

pub use desk::{Desk, Refusal, Running};

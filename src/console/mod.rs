//! The terminal: what the program's subcommands print, and the exit code that each ends with.

pub mod check;
pub mod plan;

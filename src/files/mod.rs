//! Trees of files: what a deploy leaves alone, what is there, and bringing one tree into the place of another.
//!
//! Content and mode decide, never size and time: those only tell which content is known already. Links are looked at and
//! never followed: every path is reached from the root of its tree one directory at a time, so that a link in the middle
//! leads nowhere.

pub mod build_ignore;
pub mod cache;
mod parallel;
mod promotion;
pub mod rsync;
pub mod rules;
mod running;
pub mod scan;
pub mod store;
pub mod tracked;
pub mod transfer;
mod tree;
pub mod whole;

#[cfg(test)]
mod tests;

//! Trees of files: what a deploy leaves alone, what is there, and bringing one tree into the place of another.
//!
//! Content and mode decide, never size and time. Links are looked at and never followed: every path is reached from the
//! root of its tree one directory at a time, so that a link in the middle leads nowhere.

mod promotion;
pub mod rsync;
pub mod rules;
pub mod scan;
pub mod transfer;
mod tree;

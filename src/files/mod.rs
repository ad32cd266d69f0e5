//! Trees of files.
pub mod rules;
pub mod scan;
pub mod transfer;

//! The product's words and decisions. Pure: no runtime, no clock, no files, no engine, no chat.
//!
//! Facts come in as arguments, decisions go out as values. Time is always an argument, in whole
//! milliseconds since the Unix epoch ([`Millis`]).

pub mod access;
pub mod compose_files;
pub mod compose_labels;
pub mod compose_name;
pub mod confirm;
pub mod container;
pub mod desired;
pub mod env_file;
pub mod environment;
pub mod event;
pub mod failure;
pub mod health;
pub mod impact;
pub mod job;
pub mod managed;
pub mod manifest;
pub mod measures;
pub mod names;
pub mod notice;
pub mod orphans;
pub mod outcome;
pub mod plan;
pub mod project;
pub mod pull_policy;
pub mod redact;
pub mod reload;
pub mod request;
pub mod selftest;
pub mod shared;
pub mod snapshot;
pub mod space;
pub mod status;
pub mod text;
pub mod untrusted;
pub mod view;
pub mod volumes;
pub mod words;

/// Milliseconds since the Unix epoch.
pub type Millis = i64;

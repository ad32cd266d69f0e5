//! The one integration crate: the real dispatcher over HTTP, a real engine, a real Compose, a real rsync.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, reason = "a test that cannot go on must say where and end")]

mod boxed;
mod conversation;
mod crash;
mod deploy;
mod disk;
mod docs;
mod dry_run;
mod faults;
mod interrupted;
mod itself;
mod lifecycle;
mod logs;
mod mounted;
mod moving;
mod page;
mod program;
mod refusals;
mod releases;
mod reload;
mod status;
mod supervised;
mod support;
mod terminal;
mod tidy;
mod trial;
mod versions;

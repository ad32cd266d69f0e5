//! What a deploy costs beside the commands that people would type for it.
//!
//! The real program, the real engine, the real rsync and Compose. Every figure is measured in the same run as what it is
//! compared with, one after the other and taking turns at who goes first: the machine may be slow or busy, the ratio
//! stays. A goal that is missed ends it with an error. `docs/BENCHMARKS.md` says how to run it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints figures, and that must say where it cannot go on"
)]

mod large;
mod scene;
#[path = "../shared/mod.rs"]
mod shared;
mod small;
#[expect(dead_code, unused_imports, reason = "it is the tests' own, and only a part of it is needed here")]
#[path = "../../tests/it/support/mod.rs"]
mod support;

use std::process::ExitCode;

use shared::table::Table;
use shared::{ROUNDS, Wanted, setting};

/// How many files the large project has.
const FILES: (&str, usize) = ("DOCKMASTER_BENCH_FILES", 50_000);

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (files, rounds) = (setting(FILES), setting(ROUNDS));
    let wanted = Wanted::read();
    let mut table = Table::default();
    if wanted.has("large") {
        runtime.block_on(large::measure(files, rounds, &mut table));
    }
    if wanted.has("small") {
        runtime.block_on(small::measure(rounds, &mut table));
    }
    println!("{table}");
    if table.is_met() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

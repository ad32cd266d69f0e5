//! What answers cost: how long people wait for them, and what the bot takes of the machine meanwhile.
//!
//! The real program as a child process, the real engine, and the strict Bot API server. Whatever can be compared is
//! measured in the same run as what it is compared with, taking turns at who goes first: the machine may be slow or busy,
//! the ratio stays. A goal that is missed ends it with an error. `docs/BENCHMARKS.md` says how to run it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints figures, and that must say where it cannot go on"
)]

mod busy;
mod crowd;
mod direct;
mod logs;
mod many;
mod memory;
mod operations;
mod reload;
mod restart;
mod scene;
#[path = "../shared/mod.rs"]
mod shared;
mod soak;
mod start;
mod status;
#[expect(dead_code, reason = "it is the tests' own, and only a part of it is needed here")]
#[path = "../../tests/it/support/mod.rs"]
mod support;
mod usage;

use std::process::ExitCode;

use shared::table::Table;
use shared::{ROUNDS, Wanted, setting};

/// How many requests the memory is looked at over.
const REQUESTS: (&str, usize) = ("DOCKMASTER_BENCH_REQUESTS", 10_000);

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (requests, rounds) = (setting(REQUESTS), setting(ROUNDS));
    let wanted = Wanted::read();
    let mut table = Table::default();
    runtime.block_on(async {
        if wanted.has("start") {
            start::measure(rounds, &mut table).await;
        }
        if wanted.has("status") || wanted.has("processor") {
            status::measure(rounds, [wanted.has("status"), wanted.has("processor")], &mut table).await;
        }
        if wanted.has("crowd") {
            crowd::measure(rounds, &mut table).await;
        }
        if wanted.has("logs") {
            logs::measure(rounds, &mut table).await;
        }
        if wanted.has("operations") {
            operations::measure(rounds, &mut table).await;
        }
        if wanted.has("restart") {
            restart::measure(rounds, &mut table).await;
        }
        if wanted.has("busy") {
            busy::measure(rounds, &mut table).await;
        }
        if wanted.has("reload") {
            reload::measure(rounds, &mut table).await;
        }
        if wanted.has("overview") {
            many::overview(rounds, &mut table).await;
        }
        if wanted.has("restart-many") {
            many::restart(rounds.min(3), &mut table).await;
        }
        if wanted.has("memory") {
            memory::measure(requests, &mut table).await;
        }
        if wanted.has("memory-soak") {
            soak::measure(&mut table).await;
        }
    });
    println!("{table}");
    if table.is_met() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

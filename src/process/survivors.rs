//! Processes of an operation that outlived whoever started them.
//!
//! Every process of an operation carries `DOCKMASTER_OPERATION=<mark>` in its environment, and so does whatever it
//! starts. After a crash that is how they are found, and not by a process number that was written down: numbers are
//! given out again, a process that left its group would be missed, and so would one that was started just before the
//! number could be recorded. The mark was recorded before the first process was started.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::{GONE, POLL};

/// The variable that carries an operation's mark.
pub const MARK: &str = "DOCKMASTER_OPERATION";
/// How the mark begins of what is started outside of operations.
const OWNED: &str = "plan:";

/// The numbers of the processes that carry a mark in the environment with which they were started. Reads `/proc`, so call
/// it where blocking is allowed.
pub fn survivors(mark: &str) -> Vec<u32> {
    if mark.is_empty() {
        return Vec::new();
    }
    let own = std::process::id();
    processes().filter(|pid| *pid != own && carries(*pid, mark)).collect()
}

/// Ends the processes that carry a mark: asks them, waits for at most `patience`, then kills, and waits until they are
/// gone. Returns how many there were.
pub async fn end_survivors(mark: &str, patience: Duration) -> usize {
    let mut met = BTreeSet::new();
    let asked_until = Instant::now() + patience;
    let killed_until = asked_until + GONE;
    loop {
        let alive = found(mark).await;
        let now = Instant::now();
        if alive.is_empty() {
            return met.len();
        }
        if now >= killed_until {
            tracing::warn!(?alive, "killed processes of an operation are still there");
            return met.len();
        }
        for pid in alive {
            // Asked once; a second SIGTERM makes many programs drop what they are tidying up.
            let new = met.insert(pid);
            if now >= asked_until {
                signal(pid, mark, Signal::KILL);
            } else if new {
                signal(pid, mark, Signal::TERM);
            }
        }
        sleep(POLL).await;
    }
}

/// The mark of what is started outside of operations: names whose it is, and the process that started it.
pub fn owned_mark(of: &str) -> String {
    // Only a process without /proc has none, and there nothing is found by its mark either.
    static OWN: std::sync::LazyLock<Option<Identity>> = std::sync::LazyLock::new(|| Identity::of(std::process::id()));
    OWN.as_ref().map_or_else(String::new, |own| format!("{OWNED}{of}:{}:{}:{}", own.pid, own.born, own.boot))
}

/// Ends what carries an [`owned_mark`] whose owner is gone: it was killed, and could not end what it had started. Returns how many
/// processes there were.
pub async fn end_abandoned(of: &str, patience: Duration) -> usize {
    let prefix = format!("{OWNED}{of}:");
    let look = move || -> BTreeSet<String> {
        let marks = processes().filter_map(mark_of).filter(|mark| mark.strip_prefix(&prefix).is_some_and(|owner| !owner_lives(owner)));
        marks.collect()
    };
    let mut ended = 0;
    for mark in tokio::task::spawn_blocking(look).await.unwrap_or_default() {
        ended += end_survivors(&mark, patience).await;
    }
    ended
}

/// Whether the process is there that a mark names. What cannot be read is nobody.
fn owner_lives(owner: &str) -> bool {
    let mut parts = owner.splitn(3, ':');
    let mut next = || parts.next();
    let read = (|| Some(Identity { pid: next()?.parse().ok()?, born: next()?.parse().ok()?, boot: next()?.to_owned() }))();
    read.is_some_and(|owner| owner.lives())
}

async fn found(mark: &str) -> Vec<u32> {
    let owned = mark.to_owned();
    tokio::task::spawn_blocking(move || survivors(&owned)).await.unwrap_or_default()
}

/// Sends a signal to a process that carries the mark. Its descriptor is opened first and the mark read once more, so that
/// a process which got the same number in between is never hit.
fn signal(pid: u32, mark: &str, signal: Signal) {
    let Some(number) = Pid::from_raw(pid.cast_signed()) else { return };
    let opened = rustix::process::pidfd_open(number, PidfdFlags::empty());
    if !carries(pid, mark) {
        return;
    }
    let sent = match opened {
        Ok(process) => rustix::process::pidfd_send_signal(process, signal),
        // Before Linux 5.3 the second look has to do.
        Err(Errno::NOSYS) => rustix::process::kill_process(number, signal),
        Err(error) => Err(error),
    };
    match sent {
        Ok(()) | Err(Errno::SRCH) => {}
        Err(error) => tracing::warn!(pid, %error, "a process of an operation could not be ended"),
    }
}

/// One process and no other, whoever gets its number after it: for those that may have no mark, since a program can begin
/// another one with no environment at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its number.
    pub pid: u32,
    /// When it was started, in the kernel's ticks since it was booted.
    pub born: u64,
    /// Which boot that was.
    pub boot: String,
}

impl Identity {
    /// Of the process that has this number now; none where it has ended, reaped or not. Reads `/proc`.
    pub fn of(pid: u32) -> Option<Self> {
        let fields = stat(pid)?;
        let mut fields = fields.split(' ');
        // State is the third field of all, and the time the twenty-second.
        let alive = fields.next().is_some_and(|state| !matches!(state, "Z" | "X"));
        let born = fields.nth(18)?.parse().ok()?;
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
        alive.then_some(Self { pid, born, boot })
    }

    /// Whether it is still there.
    pub fn lives(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }
}

/// Ends the group that a process leads, where that process is still there: asks it, waits for at most `patience`, then kills,
/// and waits until all are gone. Returns whether it was there.
pub async fn end_group(leader: &Identity, patience: Duration) -> bool {
    let number = Pid::from_raw(leader.pid.cast_signed()).filter(|_| leader.lives());
    let Some(group) = number else { return false };
    for (signal, limit) in [(Signal::TERM, patience), (Signal::KILL, GONE)] {
        // It can only fail because nobody is left.
        let _ = rustix::process::kill_process_group(group, signal);
        let until = Instant::now() + limit;
        while group_is_alive(group) && Instant::now() < until {
            sleep(POLL).await;
        }
        if !group_is_alive(group) {
            return true;
        }
    }
    tracing::warn!(group = leader.pid, "a killed process group is still there");
    true
}

/// Whether anything in a process group is alive; what has ended and waits to be reaped is not.
pub(super) fn group_is_alive(group: Pid) -> bool {
    let group = group.as_raw_nonzero().get().to_string();
    processes().any(|pid| {
        let fields = stat(pid).unwrap_or_default();
        let mut fields = fields.split(' ');
        let ended = fields.next().is_none_or(|state| matches!(state, "Z" | "X" | ""));
        !ended && fields.nth(1) == Some(&group)
    })
}

/// What the kernel says of a process, from its state on: "state parent group ..".
fn stat(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // "pid (name) state ..", where the name may hold anything.
    stat.rsplit(") ").next().map(str::to_owned)
}

fn carries(pid: u32, mark: &str) -> bool {
    mark_of(pid).is_some_and(|carried| carried == mark)
}

/// The mark that a process carries.
fn mark_of(pid: u32) -> Option<String> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut variables = environment.split(|b| *b == 0);
    let mark = variables.find_map(|v| v.strip_prefix(MARK.as_bytes())?.strip_prefix(b"="))?;
    Some(String::from_utf8_lossy(mark).into_owned())
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

//! What keeps a process: a small program of its own (`dockmaster keep-process`), which outlives whoever started it. It runs the
//! process, starts it again, looks at its health, keeps its log, and answers on a socket. It holds the lock of the place as long
//! as it lives, so that nothing ever runs twice.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::super::outside::With;
use super::Clock;
use super::health;
use super::log::Log;
use super::place::{Place, keepers};
use super::report::{Doing, Report};
use super::spec::ProcessSpec;
use super::wire::{self, Order, Word};
use crate::domain::container::Health;
use crate::domain::managed::RestartRule;
use crate::process::{self, Exit, Invocation, MARK, Output, ProcessError, Running};

/// How long the lock of a place is tried that another keeper has: who only looks has it for a moment.
const LOCK_PATIENCE: Duration = Duration::from_millis(300);
/// How long those of a group may take to end whose leader ended by itself.
const ORPHANS: Duration = Duration::from_secs(2);
/// How long is read on after all of a group have ended, while something that left it holds the output.
const LINGER: Duration = Duration::from_secs(1);
/// How often it is looked whether the rest of a group has ended.
const LOOK: Duration = Duration::from_millis(20);
/// How many orders wait.
const ORDERS: usize = 8;
/// The code of what could not be started, as shells say it.
const NOT_STARTED: i64 = 127;
/// The code of what the kernel could not let go.
const UNSEEN: i64 = 255;

/// How long is waited before a process is started again that ended by itself.
#[derive(Debug)]
struct Backoff {
    pause: Duration,
    /// How often it was started again in a row.
    already: u32,
}

impl Backoff {
    const FIRST: Duration = Duration::from_secs(1);
    const MAX: Duration = Duration::from_secs(60);
    /// Whatever ran for so long is no crash loop.
    const STEADY: Duration = Duration::from_secs(60);

    fn new() -> Self {
        Self { pause: Self::FIRST, already: 0 }
    }

    /// How long after a process that ran for so long and ended with this code; none where it is not started again.
    fn after(&mut self, rule: RestartRule, code: i64, ran: Duration) -> Option<Duration> {
        if ran >= Self::STEADY {
            *self = Self::new();
        }
        if !rule.starts_again(code, self.already) {
            return None;
        }
        let pause = self.pause;
        *self = Self { pause: (pause * 2).min(Self::MAX), already: self.already.saturating_add(1) };
        Some(pause)
    }
}

/// Keeps the process of a place until it is told to stop, or has ended for good. To whoever started it says on standard output
/// how that went.
///
/// # Errors
/// The place cannot be used.
pub async fn keep(place: &Path, clock: Clock) -> Result<(), String> {
    // Refused only where whoever started it did this already.
    let _ = rustix::process::setsid();
    let kept = keep_at(place, clock).await.map_err(|error| error.to_string());
    if let Err(why) = &kept {
        say(&Word::Refused(why.clone()));
    }
    kept
}

async fn keep_at(path: &Path, clock: Clock) -> std::io::Result<()> {
    let missing = || std::io::Error::other("nothing is said there of what is to run");
    let place = Place::open(path)?;
    let Some(_held) = place.lock(LOCK_PATIENCE).await? else {
        say(&Word::Taken);
        return Ok(());
    };
    let (spec, mark) = (place.spec()?.ok_or_else(missing)?, place.mark()?.ok_or_else(missing)?);
    // Of a place that was moved, whose keeper knows nothing of it.
    process::end_survivors(&keepers(&mark), Duration::ZERO).await;
    place.end_left(spec.stop_timeout).await?;
    let (terminated, hung_up) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    let listener = wire::bind(&place)?;
    let (report, seen) = watch::channel(Report::new(&spec));
    let (sender, orders) = mpsc::channel(ORDERS);
    let _served = AbortOnDropHandle::new(tokio::spawn(wire::serve(listener, seen, sender)));
    let log = Log::new(path);
    let mut keeper = Keeper {
        place,
        spec,
        mark,
        log,
        clock,
        report,
        orders,
        terminated,
        _hung_up: hung_up,
        backoff: Backoff::new(),
        told: false,
        waiting: Vec::new(),
    };
    keeper.set(|_| {});
    keeper.run().await;
    Ok(())
}

/// Nobody may be there to hear it.
fn say(word: &Word) {
    if let Ok(line) = serde_json::to_string(word) {
        let mut out = std::io::stdout();
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}

struct Keeper {
    place: Place,
    spec: ProcessSpec,
    mark: String,
    log: Log,
    clock: Clock,
    report: watch::Sender<Report>,
    orders: mpsc::Receiver<Order>,
    terminated: Signal,
    /// Heard and left alone.
    _hung_up: Signal,
    backoff: Backoff,
    /// Whether whoever started this knows how it went.
    told: bool,
    /// Who waits until it is started again.
    waiting: Vec<oneshot::Sender<()>>,
}

/// What is done once a process has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    AtOnce,
    After(Duration),
    /// Nothing, for the time being or for good.
    Over,
}

/// An end that somebody asked for.
struct Ending {
    again: bool,
    deadline: Instant,
}

impl Keeper {
    async fn run(&mut self) {
        loop {
            let next = match self.once().await {
                Next::After(pause) => self.pause(pause).await,
                other => other,
            };
            if next == Next::Over {
                return;
            }
        }
    }

    /// Changes what is told, and writes that down as far as the disk takes it.
    fn set(&mut self, change: impl FnOnce(&mut Report)) {
        self.report.send_modify(change);
        let now = self.report.borrow().clone();
        if let Err(error) = self.place.set_report(&now) {
            tracing::debug!(%error, "the state of a process could not be written down");
        }
    }

    /// Starts the process and is with it until it has ended.
    async fn once(&mut self) -> Next {
        let started = Running::start(&self.invocation());
        let now = (self.clock)();
        let (running, mut output) = match started {
            Ok(started) => started,
            Err(error) => return self.not_started(&error, now),
        };
        let (began, checked) = (Instant::now(), self.spec.healthcheck.clone());
        let health = if checked.is_some() { Health::Starting } else { Health::None };
        let process = running.identity();
        self.set(|report| {
            (report.doing, report.process, report.started) = (Doing::Running, process, Some(now));
            (report.health, report.error) = (health, String::new());
            report.checks.clear();
        });
        self.tell(&Word::Started);
        let watched = checked.map(|spec| {
            let with = With { directory: Some(self.directory()), environment: self.environment() };
            AbortOnDropHandle::new(tokio::spawn(health::watch(spec, with, self.clock, self.report.clone())))
        });
        let (exit, ending) = self.accompany(running, &mut output).await;
        drop(watched);
        // What left the group would be there twice when it is started again.
        process::end_survivors(&self.mark, ORPHANS).await;
        let (clock, log) = (self.clock, &mut self.log);
        let rest = async { while output.next(&mut |line| log.add(clock(), &line)).await {} };
        let _ = timeout(LINGER, rest).await;
        self.log.flush(clock());
        self.ended(exit.code.map_or(UNSEEN, i64::from), ending, began.elapsed())
    }

    /// Is with the process until all of its group have ended: by itself, or because somebody asked for it.
    async fn accompany(&mut self, mut running: Running, output: &mut Output) -> (Exit, Option<Ending>) {
        let mut ending: Option<Ending> = None;
        // When its leader had ended by itself, and what is left of the group was asked to.
        let mut alone: Option<Instant> = None;
        let mut open = true;
        loop {
            let deadline = ending.as_ref().map(|e| e.deadline).or(alone.map(|since| since + ORPHANS));
            let (clock, log) = (self.clock, &mut self.log);
            let mut keep = |line: String| log.add(clock(), &line);
            tokio::select! {
                biased;
                () = running.exited(), if alone.is_none() => {
                    // The first of a group to end may leave others behind.
                    alone = Some(Instant::now());
                    if ending.is_none() {
                        running.ask();
                    }
                }
                Some(order) = self.orders.recv() => self.ordered(order, &mut ending, &running),
                _ = self.terminated.recv() => self.end_by(false, None, &mut ending, &running),
                () = at(deadline) => break,
                () = sleep(LOOK), if alone.is_some() => {}
                more = output.next(&mut keep), if open => {
                    open = more;
                    self.log.flush(clock());
                }
            }
            if alone.is_some() && running.is_gone() {
                break;
            }
        }
        (running.end().await, ending)
    }

    fn ordered(&mut self, order: Order, ending: &mut Option<Ending>, running: &Running) {
        self.waiting.push(order.done);
        self.end_by(order.again, order.within, ending, running);
    }

    /// Asks the process to end, once; whoever asks for a sooner end gets that.
    fn end_by(&mut self, again: bool, within: Option<Duration>, ending: &mut Option<Ending>, running: &Running) {
        let deadline = Instant::now() + within.unwrap_or(self.spec.stop_timeout);
        match ending {
            Some(asked) => *asked = Ending { again: asked.again && again, deadline: asked.deadline.min(deadline) },
            None => {
                running.ask();
                self.set(|report| report.doing = Doing::Stopping);
                *ending = Some(Ending { again, deadline });
            }
        }
    }

    /// Notes how it ended, and says what comes next.
    fn ended(&mut self, code: i64, ending: Option<Ending>, ran: Duration) -> Next {
        let next = match ending {
            Some(Ending { again: true, .. }) => {
                self.backoff = Backoff::new();
                Next::AtOnce
            }
            Some(_) => Next::Over,
            None => self.backoff.after(self.spec.restart, code, ran).map_or(Next::Over, Next::After),
        };
        let asked = ending.is_some();
        let (now, checked) = ((self.clock)(), self.spec.healthcheck.is_some());
        self.set(|report| {
            (report.process, report.finished, report.exit_code) = (None, Some(now), code);
            match next {
                Next::Over => report.doing = Doing::Ended,
                Next::AtOnce => (report.doing, report.restarts) = (Doing::Starting, 0),
                Next::After(_) => {
                    report.doing = Doing::Waiting;
                    report.health = if checked { Health::Starting } else { Health::None };
                }
            }
        });
        if next == Next::Over && !asked {
            // It has done what it was to do, and is not to do it once more after a reboot.
            let _ = self.place.unwant();
        }
        next
    }

    /// It could not be started: for the first time that is the end, and whoever asked for it is told; later the program may be
    /// there again in a while, as when it is just replaced.
    fn not_started(&mut self, error: &ProcessError, now: i64) -> Next {
        self.log.add(now, &format!("dockmaster: {error}"));
        self.log.flush(now);
        let next = if self.told { self.ended(NOT_STARTED, None, Duration::ZERO) } else { Next::Over };
        self.set(|report| {
            report.error = error.to_string();
            if next == Next::Over {
                (report.doing, report.finished, report.exit_code) = (Doing::Ended, Some(now), NOT_STARTED);
            }
        });
        self.tell(&Word::Refused(error.to_string()));
        next
    }

    /// Waits before it is started again, unless somebody wants something else.
    async fn pause(&mut self, pause: Duration) -> Next {
        let next = tokio::select! {
            () = sleep(pause) => {
                self.set(|report| report.restarts += 1);
                return Next::AtOnce;
            }
            Some(order) = self.orders.recv() => {
                self.waiting.push(order.done);
                if order.again { Next::AtOnce } else { Next::Over }
            }
            _ = self.terminated.recv() => Next::Over,
        };
        self.backoff = Backoff::new();
        self.set(|report| match next {
            Next::Over => report.doing = Doing::Ended,
            _ => report.restarts = 0,
        });
        next
    }

    /// Tells whoever waits to know how its start went.
    fn tell(&mut self, word: &Word) {
        if !std::mem::replace(&mut self.told, true) {
            say(word);
        }
        for done in self.waiting.drain(..) {
            // They may have gone.
            let _ = done.send(());
        }
    }

    fn invocation(&self) -> Invocation {
        let (program, args) = self.spec.command.split_first().map_or(("", [].as_slice()), |(program, args)| (program, args));
        let invocation = Invocation::new(program).args(args).directory(self.directory());
        self.environment().iter().fold(invocation, |i, (name, value)| i.environment(name, value))
    }

    fn directory(&self) -> std::path::PathBuf {
        self.spec.directory.clone().unwrap_or_else(|| "/".into())
    }

    fn environment(&self) -> Vec<(String, String)> {
        let given = self.spec.environment.iter().map(|(name, value)| (name.clone(), value.clone()));
        given.chain([(MARK.to_owned(), self.mark.clone())]).collect()
    }
}

/// Waits until then, or for ever.
async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_loop_gets_slower_and_what_ran_for_a_minute_is_none() {
        let (mut backoff, s) = (Backoff::new(), Duration::from_secs);
        let mut after = |ran| backoff.after(RestartRule::Always, 1, s(ran)).map(|pause| pause.as_secs());
        let pauses: Vec<u64> = (0..8).filter_map(|_| after(1)).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!([59, 60, 0].map(&mut after), [Some(60), Some(1), Some(2)]);
        let mut backoff = Backoff::new();
        let mut tries = |ran| backoff.after(RestartRule::OnFailure(2), 1, s(ran)).is_some();
        assert_eq!([0, 0, 0, 60, 0, 0].map(&mut tries), [true, true, false, true, true, false], "what ran for a minute is none in a row");
    }
}

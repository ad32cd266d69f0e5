//! The health of a process, by looks from outside.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::super::outside::{Looker, With};
use super::Clock;
use super::report::Report;
use super::spec::HealthSpec;
use crate::domain::container::{Check, Health};

/// How long is waited between looks at a process that is just starting: nobody is to wait for nothing.
const EAGER: Duration = Duration::from_millis(500);

/// What the looks come to.
#[derive(Debug)]
pub struct Judge<'a> {
    spec: &'a HealthSpec,
    health: Health,
    /// How many failed one after another.
    failed: u32,
}

impl<'a> Judge<'a> {
    /// Before the first look.
    pub fn new(spec: &'a HealthSpec) -> Self {
        Self { spec, health: Health::Starting, failed: 0 }
    }

    /// Takes in what a look came to at some age of the process.
    pub fn take(&mut self, good: bool, age: Duration) -> Health {
        if good {
            (self.health, self.failed) = (Health::Healthy, 0);
        } else if self.health != Health::Starting || age >= self.spec.start_period {
            self.failed = self.failed.saturating_add(1);
            if self.failed >= self.spec.retries {
                self.health = Health::Unhealthy;
            }
        }
        self.health
    }

    /// How long is waited until the next look.
    pub fn pause(&self, age: Duration) -> Duration {
        let starting = self.health == Health::Starting && age < self.spec.start_period;
        if starting { EAGER.min(self.spec.interval) } else { self.spec.interval }
    }
}

/// Looks at a process that was just started, and says in its report what that comes to, until this is dropped.
pub(super) async fn watch(spec: HealthSpec, with: With, clock: Clock, report: watch::Sender<Report>) {
    let (looker, began) = (Looker::default(), Instant::now());
    let mut judge = Judge::new(&spec);
    loop {
        sleep(judge.pause(began.elapsed())).await;
        let looked = Instant::now();
        let told = looker.look(&spec.check, spec.timeout, &with).await;
        let took = i64::try_from(looked.elapsed().as_millis()).unwrap_or(i64::MAX);
        let run = Check { at: clock(), took, good: told.is_ok() };
        let health = judge.take(run.good, began.elapsed());
        let output = Some(told.unwrap_or_else(|failed| failed));
        report.send_if_modified(|report| {
            let changed = report.health != health || report.health_output != output;
            (report.health, report.health_output) = (health, output);
            report.checked(run);
            // That it was looked at once more is no news.
            changed
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::outside;
    use super::*;

    #[test]
    fn one_good_look_is_enough_and_some_bad_ones_in_a_row() {
        let s = Duration::from_secs;
        let spec = HealthSpec::new(outside::Check::Tcp(String::new()));
        let mut judge = Judge::new(&spec);
        let mut seen = Vec::new();
        for (good, age) in [
            // These do not count, it is just starting.
            (false, 1),
            (false, 29),
            (false, 29),
            (false, 29),
            (false, 30),
            (false, 40),
            (false, 50),
            (true, 60),
            (false, 70),
            (false, 80),
            (true, 90),
            (false, 100),
            (false, 110),
            (false, 120),
        ] {
            seen.push(judge.take(good, s(age)));
        }
        let (starting, well, ill) = (Health::Starting, Health::Healthy, Health::Unhealthy);
        let expected = [vec![starting; 6], vec![ill], vec![well; 6], vec![ill]].concat();
        assert_eq!(seen, expected);

        let mut judge = Judge::new(&spec);
        assert_eq!((judge.pause(s(1)), judge.pause(s(30))), (EAGER, spec.interval));
        judge.take(true, s(1));
        assert_eq!(judge.pause(s(2)), spec.interval);
        judge.take(false, s(2));
        assert_eq!((judge.health, judge.failed), (Health::Healthy, 1), "once it was well they count");
    }
}

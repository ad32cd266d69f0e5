//! What is measured of services: a fold over the looks at their containers.

use serde::{Deserialize, Serialize};

use super::Millis;
use super::container::{Check, Container, Health, State};
use super::project::ServiceName;

/// How many runs of a health check the engine keeps: of fewer none is lost.
pub const CHECKS_KEPT: usize = 5;

/// A start that came up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartUp {
    /// When it was started.
    pub at: Millis,
    /// How long it took until its health check was good for the first time, in milliseconds.
    pub took: Millis,
    /// The operation that started it; none where something else did.
    pub operation: Option<i64>,
}

/// The runs of a health check that were seen. While all stays well nobody looks, so that these are not all that there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checks {
    /// How many.
    pub count: i64,
    /// How long they took together, in milliseconds.
    pub total: Millis,
    /// How many of them failed.
    pub failures: i64,
    /// The last one.
    pub last: Option<Check>,
}

impl Checks {
    /// How long one takes, in milliseconds; none where none was seen.
    pub fn average(&self) -> Option<Millis> {
        (self.count > 0).then(|| self.total / self.count)
    }

    fn see(&mut self, runs: &[Check], now: Millis) -> bool {
        // One that lies ahead was seen by a clock that was set back since.
        let known = self.last.map(|last| last.at).filter(|at| *at <= now);
        let before = *self;
        for run in runs.iter().filter(|run| known.is_none_or(|known| run.at > known)) {
            self.count += 1;
            self.total += run.took;
            self.failures += i64::from(!run.good);
            self.last = Some(*run);
        }
        *self != before
    }
}

/// What was measured of a container, which has its name from one making to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measures {
    /// The service that it belongs to.
    pub service: ServiceName,
    /// Since when it is measured.
    pub since: Millis,
    /// When it was seen last.
    pub seen: Millis,
    /// The engine's id of the container as it was seen last.
    pub id: String,
    /// When that was started.
    pub started: Millis,
    /// How often the engine had started that again.
    pub counted: i64,
    /// Whether this start was seen before it came up. Known only to whoever saw that.
    pub awaited: bool,
    /// How often it was started again, by the engine or by anybody else.
    pub restarts: i64,
    /// Its health check.
    pub checks: Checks,
    /// The last start that was seen to come up.
    pub startup: Option<StartUp>,
}

/// For how long it may not be noted that a container is still there, in milliseconds.
const SEEN_EVERY: Millis = 3_600_000;

/// How often the engine has started a container again. Where it is about to, it has counted that already.
fn counted(container: &Container) -> i64 {
    (container.restarts - i64::from(container.state == State::Restarting)).max(0)
}

impl Measures {
    /// What a first look tells; none where the container was never started.
    pub fn first(container: &Container, now: Millis) -> Option<Self> {
        let mut new = Self {
            service: container.service.clone(),
            since: now,
            seen: now,
            id: container.id.clone(),
            started: container.started?,
            counted: counted(container),
            awaited: false,
            restarts: 0,
            checks: Checks::default(),
            startup: None,
        };
        new.look(container, now);
        Some(new)
    }

    /// Takes another look; whether it told anything that is worth keeping. One that is older than what is known tells nothing.
    pub fn look(&mut self, container: &Container, now: Millis) -> bool {
        let Some(started) = container.started else { return false };
        // What lies ahead was seen by a clock that was set back since.
        if started < self.started && self.started <= now {
            return false;
        }
        let mut told = now - self.seen >= SEEN_EVERY || self.seen > now;
        if told {
            self.seen = now;
        }
        told |= self.see_start(container, started);
        told |= self.checks.see(&container.checks, now);
        if container.health == Health::Starting {
            self.awaited = true;
        }
        if self.startup.is_none_or(|known| known.at != started)
            && let Some(took) = self.came_up(container, started)
        {
            self.startup = Some(StartUp { at: started, took, operation: None });
            told = true;
        }
        if self.service != container.service {
            self.service = container.service.clone();
            told = true;
        }
        told
    }

    fn see_start(&mut self, container: &Container, started: Millis) -> bool {
        let counted = counted(container);
        let same = self.id == container.id;
        if same && self.started == started {
            return false;
        }
        self.restarts += match (same, counted - self.counted) {
            (true, grown @ 1..) => grown,
            (true, 0) => 1,
            // A start that is not the engine's own lets it count anew.
            _ => 1 + counted,
        };
        self.id.clone_from(&container.id);
        (self.started, self.counted, self.awaited) = (started, counted, false);
        true
    }

    /// How long it took from the start to the first good check, where that is known to be the first.
    fn came_up(&self, container: &Container, started: Millis) -> Option<Millis> {
        if (container.state, container.health) != (State::Running, Health::Healthy) {
            return None;
        }
        let runs = &container.checks;
        let whole = runs.len() < CHECKS_KEPT || runs.first().is_some_and(|run| run.at < started);
        let first = runs.iter().find(|run| run.good && run.at >= started)?;
        (whole || self.awaited).then(|| first.at - started)
    }

    /// Notes whose operation its last start was, where it was started since that began. Whether that was not known.
    pub fn started_by(&mut self, operation: i64, began: Millis) -> bool {
        match &mut self.startup {
            Some(startup) if startup.at >= began && startup.at == self.started && startup.operation != Some(operation) => {
                startup.operation = Some(operation);
                true
            }
            _ => false,
        }
    }
}

/// What was measured of a service, as people and programs are told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceMeasures {
    /// For how long it has been running, in milliseconds; none where it does not.
    pub uptime: Option<Millis>,
    /// The last start that was seen to come up. Without a health check nobody knows when a service has.
    pub startup: Option<StartUp>,
    /// Its health check, as far as it was seen; none where there is none.
    pub checks: Option<Checks>,
    /// How long a check takes on average, in milliseconds.
    pub check_average: Option<Millis>,
    /// How often it was started again since `since`, by the engine or by anybody else, made anew or not.
    pub restarts: i64,
    /// Since when it is measured; none where it is not.
    pub since: Option<Millis>,
}

impl ServiceMeasures {
    /// What is told of a container besides what it tells itself.
    pub fn of(container: &Container, known: Option<&Measures>, now: Millis) -> Self {
        let uptime = container.started.filter(|_| container.state == State::Running).map(|at| (now - at).max(0));
        // What was measured by a check that is gone is no measure of what runs.
        let checks = known.map(|known| known.checks).filter(|checks| checks.count > 0 && container.health != Health::None);
        Self {
            uptime,
            startup: known.and_then(|known| known.startup).filter(|_| container.health != Health::None),
            checks,
            check_average: checks.and_then(|checks| checks.average()),
            restarts: known.map_or(0, |known| known.restarts),
            since: known.map(|known| known.since),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::container::tests::container;

    const NOW: Millis = 1_000_000;

    fn run(at: Millis, good: bool) -> Check {
        Check { at, took: 80, good }
    }

    fn web(started: Millis, restarts: i64, health: Health, checks: &[Check]) -> Container {
        Container { started: Some(started), restarts, checks: checks.to_vec(), ..container("web", State::Running, health) }
    }

    fn plain(started: Millis, restarts: i64) -> Container {
        web(started, restarts, Health::None, &[])
    }

    fn measured(looks: &[Container]) -> Measures {
        let mut measures = Measures::first(&looks[0], NOW).unwrap();
        for look in looks.iter().skip(1) {
            measures.look(look, NOW);
        }
        measures
    }

    #[test]
    fn it_came_up_with_its_first_good_check() {
        let took = |looks: &[Container]| measured(looks).startup.map(|startup| (startup.at, startup.took));
        let up = |checks: &[Check]| web(1_000, 0, Health::Healthy, checks);
        assert_eq!(took(&[up(&[run(1_500, false), run(5_000, true), run(6_000, true)])]), Some((1_000, 4_000)));
        assert_eq!(took(&[up(&[run(900, true), run(3_000, true)])]), Some((1_000, 2_000)), "the first one is of the run before");
        assert_eq!(took(&[web(1_000, 0, Health::Starting, &[run(1_500, false)])]), None);
        assert_eq!(took(&[plain(1_000, 0)]), None);
        // Five are kept: a good one among them need not be the first.
        let late: Vec<Check> = (0..5).map(|n| run(50_000 + n * 100, n > 2)).collect();
        assert_eq!(took(&[up(&late)]), None);
        assert_eq!(took(&[web(1_000, 0, Health::Unhealthy, &[]), up(&late)]), None, "it may have been well before");
        assert_eq!(took(&[web(1_000, 0, Health::Starting, &[]), up(&late)]), Some((1_000, 49_300)), "it was seen before it was well");
        // What comes later of the same start changes nothing; another start does.
        let first = up(&[run(1_500, true)]);
        assert_eq!(took(&[first.clone(), up(&late)]), Some((1_000, 500)));
        assert_eq!(took(&[first, web(9_000, 0, Health::Healthy, &[run(1_500, true), run(9_100, true)])]), Some((9_000, 100)));
    }

    #[test]
    fn restarts_are_counted_by_whomever_they_are() {
        let restarts = |looks: &[Container]| measured(looks).restarts;
        let waits = |started, restarts| Container { state: State::Restarting, ..plain(started, restarts) };
        let remade = |started, restarts| Container { id: "another".into(), ..plain(started, restarts) };
        assert_eq!(restarts(&[plain(1, 5)]), 0, "only what was seen counts");
        assert_eq!(restarts(&[plain(1, 0), plain(2, 1)]), 1, "by the engine");
        assert_eq!(restarts(&[plain(1, 0), plain(9, 4)]), 4, "of several the last was seen");
        assert_eq!(restarts(&[plain(1, 0), waits(1, 1)]), 0, "it is only about to be");
        assert_eq!(restarts(&[plain(1, 0), waits(1, 1), waits(2, 2), plain(3, 2)]), 2);
        assert_eq!(restarts(&[plain(1, 0), plain(2, 0)]), 1, "by hand");
        assert_eq!(restarts(&[plain(1, 3), plain(2, 0)]), 1, "by hand, and the engine counts anew");
        assert_eq!(restarts(&[plain(1, 3), plain(2, 1)]), 2, "and it died once since");
        assert_eq!(restarts(&[plain(1, 3), remade(2, 0)]), 1, "made anew");
        assert_eq!(restarts(&[plain(1, 0), remade(2, 2)]), 3, "made anew, and it died twice since");
        assert_eq!(restarts(&[plain(2, 1), plain(1, 0), plain(2, 1)]), 0, "a look that came late");
        let made = Container { started: None, ..plain(0, 0) };
        assert_eq!(Measures::first(&made, NOW), None);
        assert_eq!(restarts(&[plain(1, 0), made]), 0);
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_stop_the_count() {
        let ahead = web(NOW + 500_000, 0, Health::Healthy, &[run(NOW + 500_100, true)]);
        let measures = measured(&[ahead, web(5_000, 0, Health::Healthy, &[run(5_200, false), run(5_400, true)])]);
        assert_eq!((measures.restarts, measures.checks.count), (1, 3));
        assert_eq!(measures.startup, Some(StartUp { at: 5_000, took: 400, operation: None }));
    }

    #[test]
    fn each_check_counts_once() {
        let (first, second, third) = (run(1_100, true), run(1_200, false), Check { at: 1_300, took: 20, good: true });
        let look = |checks: &[Check]| web(1_000, 0, Health::Healthy, checks);
        let mut measures = measured(&[look(&[first]), look(&[first, second]), look(&[first, second])]);
        assert!(!measures.look(&look(&[first, second]), NOW), "nothing new");
        assert!(measures.look(&look(&[second, third]), NOW));
        assert_eq!(measures.checks, Checks { count: 3, total: 180, failures: 1, last: Some(third) });
        assert_eq!(measures.checks.average(), Some(60));
        assert_eq!(Checks::default().average(), None);
    }

    #[test]
    fn that_it_is_still_there_is_noted_now_and_then() {
        let (mut measures, look) = (measured(&[plain(1, 0)]), plain(1, 0));
        assert!(!measures.look(&look, NOW + SEEN_EVERY - 1));
        assert!(measures.look(&look, NOW + SEEN_EVERY));
        assert_eq!(measures.seen, NOW + SEEN_EVERY);
    }

    #[test]
    fn a_start_is_an_operations_that_began_before_it() {
        let mut measures = measured(&[web(5_000, 0, Health::Healthy, &[run(5_400, true)])]);
        assert!(!measures.started_by(3, 5_001));
        assert!(measures.started_by(3, 5_000) && !measures.started_by(3, 5_000));
        assert_eq!(measures.startup.and_then(|startup| startup.operation), Some(3));
        measures.look(&plain(6_000, 0), NOW);
        assert!(!measures.started_by(4, 5_000), "what runs now was started later, and is not known to be up");
    }

    #[test]
    fn what_is_told_is_of_what_runs() {
        let healthy = web(NOW - 60_000, 0, Health::Healthy, &[run(NOW - 50_000, true)]);
        let measures = measured(std::slice::from_ref(&healthy));
        let told = ServiceMeasures::of(&healthy, Some(&measures), NOW);
        assert_eq!((told.uptime, told.check_average, told.startup.map(|s| s.took)), (Some(60_000), Some(80), Some(10_000)));
        let unchecked = ServiceMeasures::of(&plain(NOW - 60_000, 0), Some(&measures), NOW);
        assert_eq!((unchecked.checks, unchecked.startup), (None, None), "its check is gone");
        let stopped = Container { state: State::Exited, ..healthy };
        assert_eq!(ServiceMeasures::of(&stopped, None, NOW), ServiceMeasures::default());
    }
}

//! What is measured of services: by every look at their containers, whoever takes it, and by looks at what the engine tells of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use futures_util::{StreamExt, stream};
use tokio::sync::{Notify, broadcast};
use tokio::time::{Instant, sleep_until};

use super::desk::Desk;
use crate::domain::Millis;
use crate::domain::container::Container;
use crate::domain::measures::Measures;
use crate::domain::project::ProjectName;
use crate::engine::looks::Look;
use crate::history::History;
use crate::history::measures::{MEASURES_AGE, Measured};

/// What is told comes in bursts: a look waits until so long after the first word.
const BURST: Duration = Duration::from_millis(300);
/// How soon after a look the next one may be.
const PACE: Duration = Duration::from_secs(1);
/// How many projects are looked at at a time.
const LOOKS_AT_ONCE: usize = 4;
/// How long what was measured waits for more before it is kept.
const KEEP_EVERY: Duration = Duration::from_secs(5);
/// How many containers of a project are measured.
const CONTAINERS_MAX: usize = 1_000;

/// What was measured. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Gauge {
    known: Arc<DashMap<ProjectName, BTreeMap<String, Entry>>>,
    /// Notified when there is something to keep.
    told: Arc<Notify>,
}

#[derive(Debug)]
struct Entry {
    measures: Measures,
    /// Whether it has something that is not kept.
    new: bool,
}

impl Gauge {
    /// What was measured before, as far as it can be read: without it, it is measured from now on.
    pub async fn read(history: &History, now: Millis) -> Self {
        let gauge = Self::default();
        match history.measures().await {
            Ok(kept) => {
                kept.into_iter().filter(|(_, measures)| measures.seen >= now - MEASURES_AGE).for_each(|((project, name), measures)| {
                    gauge.known.entry(project).or_default().insert(name, Entry { measures, new: false });
                })
            }
            Err(error) => tracing::warn!(%error, "what was measured of services could not be read; it is measured from now on"),
        }
        gauge
    }

    /// Takes what a look at the containers of a project has seen.
    pub(super) fn see(&self, project: &ProjectName, containers: &[Container], now: Millis) {
        if containers.is_empty() {
            return;
        }
        let mut known = self.known.entry(project.clone()).or_default();
        let mut told = false;
        for container in containers {
            if let Some(entry) = known.get_mut(&container.name) {
                entry.new |= entry.measures.look(container, now);
                told |= entry.new;
            } else if known.len() < CONTAINERS_MAX
                && let Some(measures) = Measures::first(container, now)
            {
                known.insert(container.name.clone(), Entry { measures, new: true });
                told = true;
            }
        }
        if told {
            self.told.notify_one();
        }
    }

    /// Notes that containers, which are up, were started by an operation where they were since it began.
    pub(super) fn started_by(&self, project: &ProjectName, containers: &[Container], (operation, began): (i64, Millis)) {
        let Some(mut known) = self.known.get_mut(project) else { return };
        for container in containers {
            if let Some(entry) = known.get_mut(&container.name)
                && entry.measures.started_by(operation, began)
            {
                entry.new = true;
                self.told.notify_one();
            }
        }
    }

    /// What was measured of a project, by the names of its containers.
    pub(super) fn of(&self, project: &ProjectName) -> BTreeMap<String, Measures> {
        let known = self.known.get(project);
        known.iter().flat_map(|known| known.iter()).map(|(name, entry)| (name.clone(), entry.measures.clone())).collect()
    }

    /// Takes what is not kept yet; forgets what nobody has seen for long.
    fn take(&self, now: Millis) -> Measured {
        let mut new = Measured::new();
        for mut project in self.known.iter_mut() {
            let name = project.key().clone();
            project.retain(|_, entry| entry.measures.seen >= now - MEASURES_AGE);
            for (container, entry) in project.iter_mut().filter(|(_, entry)| entry.new) {
                entry.new = false;
                new.insert((name.clone(), container.clone()), entry.measures.clone());
            }
        }
        self.known.retain(|_, containers| !containers.is_empty());
        new
    }

    fn give_back(&self, names: impl Iterator<Item = (ProjectName, String)>) {
        for (project, name) in names {
            if let Some(entry) = self.known.get_mut(&project).as_mut().and_then(|known| known.get_mut(&name)) {
                entry.new = true;
            }
        }
    }
}

impl Desk {
    /// Measures services until dockmaster stops: looks at what the engine tells of, and keeps what any look has told.
    pub async fn watch_services(&self) {
        tokio::select! {
            () = self.look_at_what_is_told() => {}
            () = self.keep_what_is_measured() => {}
            () = self.stopping().cancelled() => {}
        }
    }

    /// Looks at the projects of whose containers the engine tells something. It never looks without that: who only stays healthy
    /// is not told of.
    async fn look_at_what_is_told(&self) {
        let mut changes = self.tools.docker.changes();
        let mut told = self.tools.docker.told();
        told.mark_changed();
        let mut configuration = self.configuration.clone();
        let (mut due, mut following) = (BTreeSet::new(), false);
        let (mut soonest, mut next) = (Instant::now(), Instant::now());
        loop {
            let idle = due.is_empty();
            tokio::select! {
                change = changes.recv() => match change {
                    Ok(change) => due.extend(self.projects_that(|look| look.may_see(&change))),
                    Err(broadcast::error::RecvError::Lagged(_)) => due.extend(self.projects_that(|_| true)),
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                changed = told.changed() => {
                    let before = std::mem::replace(&mut following, told.borrow_and_update().following);
                    if changed.is_err() {
                        return;
                    }
                    // Nobody has told what happened until then.
                    if following && !before {
                        due.extend(self.projects_that(|_| true));
                    }
                }
                changed = configuration.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    due.extend(self.projects_that(|_| true));
                }
                () = sleep_until(next), if !idle => {
                    // An operation looks by itself, and everything that it does is told.
                    let held = |project: &ProjectName| self.tools.registry.holder(project).is_some();
                    let (later, now) = std::mem::take(&mut due).into_iter().partition(held);
                    due = later;
                    self.look_at(now).await;
                    next = Instant::now() + PACE;
                    soonest = Instant::now() + PACE;
                }
            }
            if idle {
                next = soonest.max(Instant::now() + BURST);
            }
        }
    }

    pub(super) fn projects_that(&self, wanted: impl Fn(&Look) -> bool) -> Vec<ProjectName> {
        let configuration = self.configuration();
        let projects = configuration.enabled().filter(|project| wanted(&self.tools.look_at(project)));
        projects.map(|project| project.name.clone()).collect()
    }

    async fn look_at(&self, projects: BTreeSet<ProjectName>) {
        let configuration = self.configuration();
        let projects = projects.iter().filter_map(|name| configuration.projects.get(name).filter(|project| project.enabled));
        let look = async |project| {
            match self.tools.glance(project).await {
                Ok(containers) => self.watch_places(&project.name, &containers).await,
                // An engine that is away is followed again when it is back, and looked at then.
                Err(error) => tracing::debug!(project = %project.name, %error, "could not be looked at"),
            }
        };
        stream::iter(projects).for_each_concurrent(LOOKS_AT_ONCE, look).await;
    }

    async fn keep_what_is_measured(&self) {
        loop {
            self.tools.gauge.told.notified().await;
            tokio::time::sleep(KEEP_EVERY).await;
            self.keep_measures().await;
        }
    }

    /// Keeps what was measured since the last time. What cannot be kept waits for the next time.
    pub async fn keep_measures(&self) {
        let gauge = &self.tools.gauge;
        let new = gauge.take(self.now());
        if new.is_empty() {
            return;
        }
        let names: Vec<(ProjectName, String)> = new.keys().cloned().collect();
        if let Err(error) = self.tools.history.measures_keep(new).await {
            tracing::warn!(%error, "what was measured of services could not be kept");
            gauge.give_back(names.into_iter());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::container::tests::container;
    use crate::domain::container::{Health, State};

    fn shop() -> ProjectName {
        ProjectName::new("shop").unwrap()
    }

    #[test]
    fn what_is_taken_is_taken_once_unless_it_comes_back() {
        let (gauge, web) = (Gauge::default(), container("web", State::Running, Health::None));
        gauge.see(&shop(), std::slice::from_ref(&web), 10);
        gauge.see(&shop(), std::slice::from_ref(&web), 20);
        let taken = gauge.take(30);
        assert_eq!(taken.keys().collect::<Vec<_>>(), [&(shop(), "shop-web-1".to_owned())]);
        assert!(gauge.take(30).is_empty());
        gauge.give_back(taken.into_keys());
        assert_eq!(gauge.take(30).len(), 1);
        assert_eq!(gauge.of(&shop()).len(), 1);
        gauge.take(MEASURES_AGE + 11);
        assert!(gauge.of(&shop()).is_empty(), "nobody has seen it for long");
    }

    #[test]
    fn no_project_fills_the_memory() {
        let gauge = Gauge::default();
        let many = |n: usize| Container { name: format!("shop-web-{n}"), ..container("web", State::Running, Health::None) };
        gauge.see(&shop(), &(0..CONTAINERS_MAX + 5).map(many).collect::<Vec<_>>(), 10);
        assert_eq!(gauge.of(&shop()).len(), CONTAINERS_MAX);
    }

    #[tokio::test]
    async fn what_was_kept_is_there_at_the_next_start() {
        let directory = tempfile::tempdir().unwrap();
        let history = History::open(&directory.path().join("history.db")).unwrap();
        let (gauge, web) = (Gauge::read(&history, 5).await, container("web", State::Running, Health::None));
        gauge.see(&shop(), std::slice::from_ref(&web), 10);
        history.measures_keep(gauge.take(10)).await.unwrap();
        let again = Gauge::read(&history, 20).await;
        assert_eq!(again.of(&shop()), gauge.of(&shop()));
        assert!(again.take(20).is_empty());
        assert!(Gauge::read(&history, MEASURES_AGE + 11).await.of(&shop()).is_empty());
    }
}

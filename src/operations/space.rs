//! Whether there is room where data is: looked at every minute, told once a file system.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use futures_util::{StreamExt, stream};

use super::desk::Desk;
use super::keeper::admins;
use crate::domain::container::Container;
use crate::domain::notice::Notice;
use crate::domain::project::{Configuration, ProjectName};
use crate::domain::space::{Judgement, Keeps, LowSpace, Space, SpaceLimit, Watched, judge};
use crate::domain::volumes::{Attached, StoreKind};
use crate::domain::words;
use crate::history::HistoryError;

/// How often it is looked. The engine is not asked.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How many places are looked at at a time.
const LOOKS_AT_ONCE: usize = 4;
/// How many places of a project are watched.
const PLACES_MAX: usize = 100;

impl Desk {
    /// Looks for as long as dockmaster runs, and as soon as the configuration is another one or data is somewhere else.
    pub async fn watch_space(&self) {
        let mut configuration = self.configuration.clone();
        loop {
            let now = configuration.borrow_and_update().clone();
            if let Err(error) = self.look_for_space(&now).await {
                tracing::error!(%error, "that there is little room could not be noted");
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = self.measures.moved.notified() => {}
                changed = configuration.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Watches the places of the host where containers of a project write, from now on.
    pub(super) async fn watch_places(&self, project: &ProjectName, containers: &[Container]) {
        let sources: BTreeSet<&PathBuf> = containers.iter().flat_map(|c| &c.attached).filter_map(kept_at).collect();
        let here = self.measures.here(&self.tools).await;
        let places: BTreeSet<PathBuf> = sources.into_iter().filter_map(|source| here.path(source)).take(PLACES_MAX).collect();
        if self.measures.places.insert(project.clone(), places.clone()).unwrap_or_default() != places {
            self.measures.moved.notify_one();
        }
    }

    async fn look_for_space(&self, configuration: &Configuration) -> Result<(), HistoryError> {
        let said = self.tools.history.space_said().await?;
        if configuration.warn_below == SpaceLimit::Off && said.is_empty() {
            return Ok(());
        }
        for (device, (space, places)) in self.rooms(configuration).await {
            match judge(configuration.warn_below, &space, said.contains(&device)) {
                Judgement::Same => {}
                Judgement::Well => {
                    tracing::info!(free = space.free, total = space.total, "there is room again on a file system");
                    self.tools.history.space_well(device).await?;
                }
                Judgement::Low(limit) => {
                    let low = LowSpace { space, limit, places: worth_naming(places) };
                    tracing::warn!("{}", words::low_space(&low).to_plain().replace('\n', " "));
                    let notice = Notice::LowSpace { low: Box::new(low) };
                    self.tools.history.space_low(device, admins(&[configuration]), notice, self.now()).await?;
                }
            }
        }
        Ok(())
    }

    /// The file systems that data is on, by device, and what is on each, as far as they answer.
    async fn rooms(&self, configuration: &Configuration) -> BTreeMap<u64, (Space, Vec<Watched>)> {
        let clock = self.tools.clock;
        let look = |place: Watched| async move { (self.measures.room(&place.path, clock).await, place) };
        let seen: Vec<_> = stream::iter(self.watched(configuration)).map(look).buffer_unordered(LOOKS_AT_ONCE).collect().await;
        let mut rooms: BTreeMap<u64, (Space, Vec<Watched>)> = BTreeMap::new();
        for (room, place) in seen {
            // A place that is gone is told by whoever needs it; what nobody can write to is full from the beginning.
            if let Some(Ok(room)) = room
                && room.writable
            {
                rooms.entry(room.space.device).or_insert((room.space, Vec::new())).1.push(place);
            }
        }
        rooms
    }

    fn watched(&self, configuration: &Configuration) -> Vec<Watched> {
        let mut places = vec![Watched { path: self.tools.data.clone(), keeps: Keeps::Own }];
        for project in configuration.enabled() {
            let name = project.name.to_string();
            places.extend(project.production.clone().map(|path| Watched { path, keeps: Keeps::Production { project: name.clone() } }));
            if let Some(kept) = self.measures.places.get(&project.name) {
                places.extend(kept.iter().map(|path| Watched { path: path.clone(), keeps: Keeps::Store { project: name.clone() } }));
            }
        }
        places
    }
}

/// Where on the host a container keeps something that it writes; none where it does not, or where the host does not have it.
fn kept_at(attached: &Attached) -> Option<&PathBuf> {
    let of_the_host = matches!(attached.kind, StoreKind::Bind | StoreKind::Volume | StoreKind::Anonymous)
        && attached.driver.as_deref().is_none_or(|driver| driver == "local");
    attached.source.as_ref().filter(|_| of_the_host && attached.writable)
}

/// The places of one file system without those that lie in others of them.
fn worth_naming(places: Vec<Watched>) -> Vec<Watched> {
    let mut named: Vec<Watched> = Vec::new();
    let mut places = places;
    places.sort_by(|a, b| (&a.path, &a.keeps).cmp(&(&b.path, &b.keeps)));
    for place in places {
        if !named.iter().any(|known| place.path.starts_with(&known.path)) {
            named.push(place);
        }
    }
    named.sort_by(|a, b| (&a.keeps, &a.path).cmp(&(&b.keeps, &b.path)));
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_another_place_is_not_named() {
        let project = || "shop".to_owned();
        let place = |path: &str, keeps| Watched { path: path.into(), keeps };
        let store = |path| place(path, Keeps::Store { project: project() });
        let production = || place("/srv/shop", Keeps::Production { project: project() });
        let own = || place("/var/lib/d", Keeps::Own);
        let all = vec![store("/srv/shop/uploads"), store("/srv/shopping"), production(), store("/srv/shop"), own()];
        assert_eq!(worth_naming(all), [own(), production(), store("/srv/shopping")]);
    }
}

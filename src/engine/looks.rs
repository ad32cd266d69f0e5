//! Looking for the containers of a project.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use tokio::time::Instant;

use super::ask::Question;
use super::docker::{Docker, EngineError};
use super::events::Change;
use super::fields::Fields;
use super::find::{self, Found, Listed, Selection};
use super::inspect;
use super::wanted;
use crate::domain::compose_labels;
use crate::domain::container::Container;
use crate::domain::managed::label;
use crate::domain::project::{Configuration, Project, ProjectName, Source};

/// How many containers are inspected at a time.
const INSPECTED_AT_ONCE: usize = 16;

/// Which containers are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Look {
    /// A compose project's, by its name.
    Compose(String),
    /// Those that somebody else made.
    Selected(Selection),
    /// Those that a dockmaster made for a project.
    Managed {
        /// The project.
        project: ProjectName,
        /// Which dockmaster's.
        owner: String,
    },
    /// All that a dockmaster made, of whichever project.
    Owned(String),
}

impl Look {
    /// At the containers of a project, as the dockmaster `owner` has them; `configuration` says what belongs to other projects.
    pub fn at(project: &Project, owner: &str, configuration: Option<&Configuration>) -> Self {
        match &project.source {
            Source::Compose(compose) => Self::Compose(compose.name.clone()),
            Source::Containers(selectors) => Self::Selected(Selection::of(project, selectors, owner, configuration)),
            Source::Services(_) => Self::Managed { project: project.name.clone(), owner: owner.to_owned() },
        }
    }

    /// Whether what changed may be seen by it.
    pub fn may_see(&self, change: &Change) -> bool {
        let has = |label: &str, value: &str| change.labels.get(label).is_some_and(|found| found == value);
        match self {
            Self::Compose(name) => has(compose_labels::PROJECT, name),
            // It may go by what is not told: a port, say.
            Self::Selected(_) => true,
            Self::Managed { project, owner } => has(label::PROJECT, project.as_str()) && has(label::OWNER, owner),
            Self::Owned(owner) => has(label::OWNER, owner),
        }
    }
}

/// What was found, or why not.
pub(super) type Seen = Result<Vec<Container>, EngineError>;

impl Docker {
    /// The containers of a project as they are now, in no particular order. One that vanishes meanwhile is left out.
    ///
    /// # Errors
    /// The engine does not answer or refuses.
    pub async fn containers(&self, look: &Look) -> Seen {
        self.looks.ask(look, self.look(look)).await
    }

    /// The same as it was a moment ago, as long as the engine has told nothing else since: for whoever only wants to know.
    ///
    /// # Errors
    /// As for [`Docker::containers`].
    pub async fn glance(&self, look: &Look) -> Seen {
        if let Some(seen) = self.glances.of(look, self.events.told(), Instant::now()) {
            return Ok(seen);
        }
        // What is told while it is looked may come after the look: what was told before counts.
        let (told, began) = (self.events.told(), Instant::now());
        let seen = self.containers(look).await?;
        self.glances.keep(look, told, began, &seen);
        Ok(seen)
    }

    /// As [`Docker::glance`] for several at once, in their order: the engine lists its containers once for all of them.
    pub async fn glance_all(&self, looks: &[Look]) -> Vec<Seen> {
        let (told, began) = (self.events.told(), Instant::now());
        let known: Vec<Option<Vec<Container>>> = looks.iter().map(|look| self.glances.of(look, told, began)).collect();
        let asked: Vec<&Look> = looks.iter().zip(&known).filter(|(_, known)| known.is_none()).map(|(look, _)| look).collect();
        let seen = if asked.is_empty() { Vec::new() } else { self.look_at_all(&asked).await };
        for (look, seen) in asked.iter().zip(&seen) {
            if let Ok(seen) = seen {
                self.glances.keep(look, told, began, seen);
            }
        }
        let mut seen = seen.into_iter();
        known.into_iter().map(|known| known.map_or_else(|| seen.next().unwrap_or_else(|| Ok(Vec::new())), Ok)).collect()
    }

    async fn look_at_all(&self, looks: &[&Look]) -> Vec<Seen> {
        let listed = match self.list_with_labels().await {
            Ok(listed) => listed,
            Err(error) => return looks.iter().map(|_| Err(error.clone())).collect(),
        };
        let answers = looks.iter().map(|look| {
            let meant = meant(look, &listed);
            async move {
                match meant {
                    Some((meant, read)) => self.inspected_all(meant, read).await,
                    None => self.containers(look).await,
                }
            }
        });
        stream::iter(answers.collect::<Vec<_>>()).buffered(INSPECTED_AT_ONCE).collect().await
    }

    /// The containers with a label, in no particular order.
    ///
    /// # Errors
    /// The engine does not answer or refuses.
    pub async fn labelled(&self, label: &str) -> Result<Vec<Container>, EngineError> {
        self.listed(label, inspect::of_name).await
    }

    async fn look(&self, look: &Look) -> Seen {
        match look {
            Look::Compose(name) => self.composed(name, inspect::of_compose).await,
            Look::Selected(selection) => self.selected(selection).await,
            Look::Managed { project, owner } => {
                let labels = [format!("{}={project}", label::PROJECT), format!("{}={owner}", label::OWNER)];
                self.listed_with(&labels, inspect::of_managed).await
            }
            Look::Owned(owner) => {
                let labels = [format!("{}=true", label::MANAGED), format!("{}={owner}", label::OWNER)];
                self.listed_with(&labels, inspect::of_managed).await
            }
        }
    }

    /// The containers that Compose has made to take the place of others, and that never came to it: it was killed meanwhile, or is
    /// about to rename them.
    ///
    /// # Errors
    /// The engine does not answer or refuses.
    pub async fn half_made(&self, compose_project: &str) -> Seen {
        self.composed(compose_project, inspect::half_made).await
    }

    /// The names of the compose projects that have containers, by the directory that they were made in, without links.
    ///
    /// # Errors
    /// The engine does not answer or refuses.
    pub async fn compose_projects(&self) -> Result<BTreeMap<PathBuf, BTreeSet<String>>, EngineError> {
        let listed = self.list_containers(&[compose_labels::WORKING_DIR.to_owned()]).await?;
        let made_in = |c: Listed| {
            let (project, _) = compose_labels::owner(&c.labels)?;
            Some((PathBuf::from(c.labels.get(compose_labels::WORKING_DIR)?), project.to_owned()))
        };
        let made_in: BTreeSet<(PathBuf, String)> = listed.into_iter().filter_map(made_in).collect();
        let real = move || made_in.into_iter().map(|(at, project)| (at.canonicalize().unwrap_or(at), project)).collect::<Vec<_>>();
        let mut all: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
        for (directory, project) in tokio::task::spawn_blocking(real).await.unwrap_or_default() {
            all.entry(directory).or_default().insert(project);
        }
        Ok(all)
    }

    async fn composed(&self, name: &str, read: inspect::Reader) -> Seen {
        let labels = [format!("{}={name}", compose_labels::PROJECT), compose_labels::CONFIG_HASH.to_owned()];
        self.listed_with(&labels, read).await
    }

    async fn selected(&self, selection: &Selection) -> Seen {
        let mut listed = self.list_with_labels().await?;
        if find::needs_ports(selection) {
            // A port is listed of what runs alone; what is stopped is asked what it would publish.
            let asked = stream::iter(listed.into_iter().map(|one| async move { self.with_ports(one).await }));
            listed = asked.buffer_unordered(INSPECTED_AT_ONCE).try_collect().await?;
        }
        let found = find::find(selection, &listed).map_err(EngineError::Unclear)?;
        let inspected = found.into_iter().map(|Found { id, service, .. }| {
            let found = listed.iter().find(|one| one.id == id).cloned().unwrap_or_else(|| Listed::known_by(&id));
            async move {
                let seen = self.inspected(&found, inspect::of_name).await?;
                Ok::<_, EngineError>(seen.map(|seen| Container { service: service.unwrap_or_else(|| seen.service.clone()), ..seen }))
            }
        });
        let found: Vec<Option<Container>> = stream::iter(inspected).buffer_unordered(INSPECTED_AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn with_ports(&self, one: Listed) -> Result<Listed, EngineError> {
        if !one.ports.is_empty() {
            return Ok(one);
        }
        let seen = self.inspect_listed(&one).await?;
        Ok(Listed { ports: inspect::would_publish(&seen), ..one })
    }

    /// What the engine says of a container that was listed; null where it is gone, or cannot be read.
    async fn inspect_listed(&self, one: &Listed) -> Result<Value, EngineError> {
        match self.inspect(&one.id).await {
            Ok(seen) => Ok(seen.unwrap_or_default()),
            Err(EngineError::Refused(_) | EngineError::Unreadable(_)) => Ok(Value::Null),
            Err(other) => Err(other),
        }
    }

    /// All containers that have some labels (`NAME` or `NAME=VALUE`), as the engine lists them.
    pub(super) async fn list_containers(&self, labels: &[String]) -> Result<Vec<Listed>, EngineError> {
        let mut asked = Question::get("/containers/json").with("all", "true").wanting(wanted::LISTED);
        if !labels.is_empty() {
            asked = asked.filtered(&[("label", labels)]);
        }
        Ok(self.connection.list(asked).await?.iter().filter_map(inspect::listed).collect())
    }

    /// All containers. One of which the list does not tell the labels is asked for them: it may be anybody's.
    async fn list_with_labels(&self) -> Result<Vec<Listed>, EngineError> {
        let listed = self.list_containers(&[]).await?;
        let asked = stream::iter(listed.into_iter().map(|one| async move {
            if one.tells_labels {
                return Ok(one);
            }
            let seen = self.inspect_listed(&one).await?;
            let labels = seen.field("Config").words("Labels");
            Ok::<_, EngineError>(Listed { labels, ..one })
        }));
        asked.buffered(INSPECTED_AT_ONCE).try_collect().await
    }

    async fn listed(&self, label: &str, read: inspect::Reader) -> Seen {
        self.listed_with(&[label.to_owned()], read).await
    }

    async fn listed_with(&self, labels: &[String], read: inspect::Reader) -> Seen {
        let listed = self.list_containers(labels).await?;
        self.inspected_all(listed, read).await
    }

    async fn inspected_all(&self, listed: Vec<Listed>, read: inspect::Reader) -> Seen {
        let inspected = listed.into_iter().map(|one| async move { self.inspected(&one, read).await });
        let found: Vec<Option<Container>> = stream::iter(inspected).buffer_unordered(INSPECTED_AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }
}

/// The containers that a look means, by the list of all of them; none where that does not tell enough.
fn meant(look: &Look, listed: &[Listed]) -> Option<(Vec<Listed>, inspect::Reader)> {
    let with = |wanted: &[(&str, &str)]| -> Vec<Listed> {
        let has = |c: &&Listed| wanted.iter().all(|(label, value)| c.labels.get(*label).is_some_and(|found| found == value));
        listed.iter().filter(has).cloned().collect()
    };
    match look {
        Look::Compose(name) => Some((with(&[(compose_labels::PROJECT, name)]), inspect::of_compose)),
        Look::Managed { project, owner } => Some((with(&[(label::PROJECT, project.as_str()), (label::OWNER, owner)]), inspect::of_managed)),
        Look::Owned(owner) => Some((with(&[(label::MANAGED, "true"), (label::OWNER, owner)]), inspect::of_managed)),
        Look::Selected(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_where_its_container_is_looked_for() {
        let change = |labels: &[(&str, &str)]| Change {
            action: "start".to_owned(),
            container: String::new(),
            at: 0,
            labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        };
        let compose = change(&[(compose_labels::PROJECT, "shop")]);
        let made = change(&[(label::PROJECT, "shop"), (label::OWNER, "0a1b")]);
        let managed = |owner: &str| Look::Managed { project: ProjectName::new("shop").unwrap(), owner: owner.into() };
        assert!(Look::Compose("shop".into()).may_see(&compose) && !Look::Compose("blog".into()).may_see(&compose));
        assert!(managed("0a1b").may_see(&made) && !managed("ffff").may_see(&made) && !managed("0a1b").may_see(&compose));
        assert!(Look::Selected(Selection::default()).may_see(&change(&[])));
    }
}

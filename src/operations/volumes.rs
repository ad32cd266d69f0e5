//! Where the data of a project is: what the engine says is mounted, and how much there is and how much room, as far as that
//! is found out in the time that an answer has.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use futures_util::{StreamExt, future, stream};

use super::desk::{Desk, Refusal};
use super::here::Here;
use super::measures::{Counted, Measures};
use super::tools::Tools;
use crate::domain::Millis;
use crate::domain::access::{Actor, Role};
use crate::domain::container::Container;
use crate::domain::failure::Failure;
use crate::domain::project::{Project, ProjectName, Source};
use crate::domain::volumes::{Figure, LAYER_WORTH, Lasts, ProjectVolumes, Store, StoreKind, StoreUser, Trouble, Why};
use crate::engine::disk::Room;
use crate::engine::volumes::Volume;

/// How many projects are looked at at a time.
const PROJECTS_AT_ONCE: usize = 4;

impl Desk {
    /// Where the data of a project is.
    ///
    /// # Errors
    /// Not allowed, no such project, or the engine could not be asked.
    pub async fn volumes(&self, actor: &Actor, name: &ProjectName) -> Result<ProjectVolumes, Refusal> {
        let project = self.project(actor, name, Role::Viewer)?;
        Ok(Look { tools: &self.tools, measures: &self.measures }.at(&project).await?)
    }

    /// The same of each enabled project that the actor may see.
    pub async fn all_volumes(&self, actor: &Actor) -> Vec<(ProjectName, Result<ProjectVolumes, Refusal>)> {
        let names: Vec<ProjectName> = self.configuration().enabled().map(|project| project.name.clone()).collect();
        let all = stream::iter(names).map(|name| async move { (name.clone(), self.volumes(actor, &name).await) });
        let all: Vec<_> = all.buffered(PROJECTS_AT_ONCE).collect().await;
        all.into_iter().filter(|(_, volumes)| !matches!(volumes, Err(Refusal::Denied(_)))).collect()
    }
}

/// A look at the data of a project.
struct Look<'a> {
    tools: &'a Tools,
    measures: &'a Measures,
}

/// What was seen of one store on the disk.
struct Seen {
    /// How much a directory holds.
    size: Option<Figure>,
    /// The room around it.
    room: Result<Room, Why>,
    /// Whether it answers.
    silent: bool,
}

impl Look<'_> {
    async fn at(&self, project: &Project) -> Result<ProjectVolumes, Failure> {
        let what = format!("Where {} has its data could not be found out.", project.name);
        let docker = &self.tools.docker;
        let containers = self.tools.glance(project).await.map_err(|e| e.failure(&*what))?;
        // What a process of the host reads and writes is where it is anyway.
        let containers: Vec<Container> = containers.into_iter().filter(|c| !c.is_process() && !c.id.is_empty()).collect();
        let volumes = async { if docker.is_absent() { Ok(Vec::new()) } else { docker.volumes().await } };
        let (volumes, here) = tokio::join!(volumes, self.measures.here(self.tools));
        let mut unknown: Vec<String> =
            volumes.as_ref().err().map(|e| format!("Which volumes there are is not known: {e}.")).into_iter().collect();
        let mut stores = stores(project, &containers, volumes.as_deref().ok());
        let has_volumes = stores.iter().any(|store| is_volume(store.kind));
        let counted = async { if has_volumes { Some(self.measures.counted(&self.tools.docker, self.tools.clock).await) } else { None } };
        let looks = future::join_all(stores.iter().map(|store| self.look(store, &here)));
        let (counted, seen, (layers, untold)) = tokio::join!(counted, looks, self.layers(&containers));
        for (store, seen) in stores.iter_mut().zip(seen) {
            apply(store, seen);
        }
        unknown.extend(counted.and_then(|counted| count(&mut stores, counted)));
        unknown.extend(untold);
        stores.extend(layers);
        Ok(ProjectVolumes { project: project.name.clone(), stores, containers: containers.len(), unknown }.in_order())
    }

    /// Looks at one store on the disk.
    async fn look(&self, store: &Store, here: &Here) -> Seen {
        let clock = self.tools.clock;
        let nothing = |why| Seen { size: None, room: Err(why), silent: false };
        let Some(path) = store.path.as_ref().filter(|_| store.driver.as_deref().is_none_or(|driver| driver == "local")) else {
            return nothing(Why::Nothing);
        };
        let Some(at) = here.path(path) else {
            return Seen { size: (store.kind == StoreKind::Bind).then_some(Figure::Unknown(Why::NotHere)), ..nothing(Why::NotHere) };
        };
        let Some(mut room) = self.measures.room(&at, clock).await else {
            return Seen { size: Some(Figure::Unknown(Why::Slow)), silent: true, ..nothing(Why::Slow) };
        };
        if is_volume(store.kind) {
            // An engine in a machine of its own has its volumes there: nothing of them is gone because it is not here.
            if let (Err(Why::Gone), Some(all)) = (&room, at.ancestors().nth(2))
                && !matches!(self.measures.room(all, clock).await, Some(Ok(_)))
            {
                room = Err(Why::NotHere);
            }
            return Seen { size: None, room, silent: false };
        }
        let size = match room {
            Err(why @ (Why::Gone | Why::Nothing)) => Figure::Unknown(why),
            _ => self.measures.walked(&at, clock).await,
        };
        Seen { size: Some(size), room, silent: false }
    }

    /// The layers of containers that hold something worth a word, and what could not be found out of them.
    async fn layers(&self, containers: &[Container]) -> (Vec<Store>, Option<String>) {
        let figure = |c: &Container| {
            let (id, docker) = (c.id.clone(), &self.tools.docker);
            async move { self.measures.layer(docker, &id, self.tools.clock).await }
        };
        let figures = future::join_all(containers.iter().map(figure)).await;
        let untold = match figures.iter().filter_map(|figure| if let Figure::Unknown(why) = figure { Some(*why) } else { None }).next() {
            Some(Why::Slow) => Some("What the containers' own layers hold is still being measured.".to_owned()),
            Some(_) => Some("What the containers' own layers hold is not known.".to_owned()),
            None => None,
        };
        let worth = |(c, size): (&Container, Figure)| {
            let user = StoreUser { service: c.service.clone(), at: "/".into(), writable: true };
            let store = Store { name: Some(c.name.clone()), users: [user].into(), size, ..store(StoreKind::Layer, Lasts::UntilRemade) };
            matches!(size, Figure::Known { bytes, .. } if bytes >= LAYER_WORTH).then_some(store)
        };
        (containers.iter().zip(figures).filter_map(worth).collect(), untold)
    }
}

fn is_volume(kind: StoreKind) -> bool {
    matches!(kind, StoreKind::Volume | StoreKind::Anonymous)
}

fn store(kind: StoreKind, lasts: Lasts) -> Store {
    Store {
        kind,
        name: None,
        path: None,
        driver: None,
        users: BTreeSet::new(),
        lasts,
        size: Figure::Unknown(Why::Nothing),
        limit: None,
        space: None,
        trouble: None,
    }
}

/// What makes two mounts one store: for what lies nowhere, where it is in which service.
type Key = (StoreKind, Option<String>, Option<PathBuf>, Option<StoreUser>);

/// What the containers have mounted, and the volumes of the project that nobody has.
fn stores(project: &Project, containers: &[Container], volumes: Option<&[Volume]>) -> Vec<Store> {
    let known: BTreeMap<&str, &Volume> = volumes.into_iter().flatten().map(|volume| (volume.name.as_str(), volume)).collect();
    let handed_on = matches!(project.source, Source::Compose(_) | Source::Services(_));
    let mut all: BTreeMap<Key, Store> = BTreeMap::new();
    for (container, mount) in containers.iter().flat_map(|c| c.attached.iter().map(move |mount| (c, mount))) {
        let volume = mount.name.as_deref().filter(|_| is_volume(mount.kind)).map(|name| known.get(name));
        let lasts = match (mount.kind, volume.flatten()) {
            (_, Some(volume)) if volume.memory => Lasts::UntilStopped,
            (StoreKind::Volume | StoreKind::Bind | StoreKind::Other, _) => Lasts::Longer,
            (StoreKind::Anonymous, _) if handed_on => Lasts::HandedOn,
            (StoreKind::Anonymous | StoreKind::Layer, _) => Lasts::UntilRemade,
            (StoreKind::Memory, _) => Lasts::UntilStopped,
        };
        let user = StoreUser { service: container.service.clone(), at: mount.at.clone(), writable: mount.writable };
        let nowhere = mount.name.is_none() && mount.source.is_none();
        let key = (mount.kind, mount.name.clone(), mount.source.clone().filter(|_| mount.name.is_none()), nowhere.then(|| user.clone()));
        let one = all.entry(key).or_insert_with(|| Store {
            name: mount.name.clone(),
            path: mount.source.clone(),
            driver: mount.driver.clone(),
            limit: mount.limit,
            // The engine keeps a volume for as long as a container has it: only somebody else takes it away.
            trouble: (volumes.is_some() && volume.is_some_and(|known| known.is_none())).then_some(Trouble::Gone),
            ..store(mount.kind, lasts)
        });
        one.users.insert(user);
    }
    let used: BTreeSet<String> = all.values().filter_map(|store| store.name.clone()).collect();
    let left = known.values().filter(|volume| is_of(project, volume) && !used.contains(&volume.name));
    let left = left.map(|volume| Store {
        name: Some(volume.name.clone()),
        path: Some(volume.path.clone()).filter(|path| path.is_absolute()),
        driver: Some(volume.driver.clone()),
        ..store(StoreKind::Volume, Lasts::Longer)
    });
    let left: Vec<Store> = left.collect();
    all.into_values().chain(left).collect()
}

fn is_of(project: &Project, volume: &Volume) -> bool {
    matches!(&project.source, Source::Compose(compose) if volume.project.as_ref() == Some(&compose.name))
}

/// Notes what was seen of a store.
fn apply(store: &mut Store, seen: Seen) {
    store.size = seen.size.unwrap_or(store.size);
    match seen.room {
        Ok(room) => {
            store.space = Some(room.space);
            if room.memory && store.lasts == Lasts::Longer {
                store.lasts = Lasts::UntilBoot;
            }
        }
        Err(Why::Gone) => store.trouble = Some(Trouble::Gone),
        Err(_) if seen.silent => store.trouble = Some(Trouble::Silent),
        Err(_) => {}
    }
}

/// Notes what the engine counted; what to say where it could not.
fn count(stores: &mut [Store], counted: Option<(Millis, Counted)>) -> Option<String> {
    for store in stores.iter_mut().filter(|store| is_volume(store.kind)) {
        let name = store.name.as_deref().unwrap_or_default();
        store.size = match &counted {
            Some((measured, Ok(bytes))) => {
                let known = |bytes: &u64| Figure::Known { bytes: *bytes, at_least: false, measured: *measured };
                bytes.get(name).map_or(Figure::Unknown(Why::Untold), known)
            }
            Some((_, Err(_))) => Figure::Unknown(Why::Untold),
            None => Figure::Unknown(Why::Slow),
        };
    }
    match counted {
        Some((_, Err(error))) => Some(format!("How much the volumes hold is not known: {error}.")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::container::{Health, State, tests::container};
    use crate::domain::project::{ComposeSource, ContainerSelector};
    use crate::domain::volumes::Attached;

    fn project(source: Source) -> Project {
        Project::new(ProjectName::new("shop").unwrap(), source)
    }

    fn composed() -> Project {
        project(Source::Compose(ComposeSource { files: vec!["c.yml".into()], name: "shop".into() }))
    }

    fn mount(kind: StoreKind, name: Option<&str>, source: Option<&str>, at: &str) -> Attached {
        let driver = name.map(|_| "local".to_owned());
        Attached { kind, name: name.map(Into::into), source: source.map(Into::into), driver, at: at.into(), writable: true, limit: None }
    }

    fn volume(name: &str, project: Option<&str>) -> Volume {
        Volume {
            name: name.into(),
            driver: "local".into(),
            path: format!("/v/{name}").into(),
            memory: false,
            project: project.map(Into::into),
            options: BTreeMap::new(),
            labels: BTreeMap::new(),
        }
    }

    /// A line for each store: what it is, what it is called, who uses it, what becomes of it, what is wrong.
    fn told(stores: &[Store]) -> Vec<String> {
        let line = |store: &Store| {
            let called = store.name.clone().or_else(|| store.path.as_ref().map(|path| path.display().to_string())).unwrap_or_default();
            let users: Vec<String> = store.users.iter().map(|user| format!("{}:{}", user.service, user.at.display())).collect();
            format!("{:?} {called} [{}] {:?} {:?}", store.kind, users.join(" "), store.lasts, store.trouble)
        };
        stores.iter().map(line).collect()
    }

    #[test]
    fn what_several_have_is_one_store_and_what_nobody_has_is_left_over() {
        let with =
            |service, attached: &[Attached]| Container { attached: attached.to_vec(), ..container(service, State::Running, Health::None) };
        let id = "a".repeat(64);
        let containers = [
            with(
                "web",
                &[
                    mount(StoreKind::Volume, Some("data"), Some("/v/data"), "/data"),
                    mount(StoreKind::Bind, None, Some("/srv/x"), "/x"),
                    mount(StoreKind::Anonymous, Some(&id), Some("/v/a"), "/cache"),
                    mount(StoreKind::Memory, None, None, "/run"),
                ],
            ),
            // A second container of the same service adds nothing but what is its own.
            with("web", &[mount(StoreKind::Volume, Some("data"), Some("/v/data"), "/data"), mount(StoreKind::Memory, None, None, "/run")]),
            with(
                "db",
                &[mount(StoreKind::Volume, Some("data"), Some("/v/data"), "/d"), mount(StoreKind::Volume, Some("lost"), None, "/l")],
            ),
        ];
        let quick = Volume { memory: true, ..volume("data", Some("shop")) };
        let volumes = [volume("data", Some("shop")), volume(&id, None), volume("old", Some("shop")), volume("strange", Some("other"))];
        expect_test::expect![[r#"
            Volume data [db:/d web:/data] Longer None
            Volume lost [db:/l] Longer Some(Gone)
            Bind /srv/x [web:/x] Longer None
            Anonymous aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa [web:/cache] HandedOn None
            Memory  [web:/run] UntilStopped None
            Volume old [] Longer None"#]]
        .assert_eq(&told(&stores(&composed(), &containers, Some(&volumes))).join("\n"));
        // Which volumes there are may not be known: nothing is gone then, and nothing left over.
        let blind = told(&stores(&composed(), &containers, None));
        assert!(blind.len() == 5 && blind.iter().all(|line| line.ends_with("None")), "{blind:?}");
        let memory = stores(&composed(), &containers[..1], Some(&[quick]));
        assert_eq!(memory.iter().find(|s| s.name.as_deref() == Some("data")).map(|s| s.lasts), Some(Lasts::UntilStopped));
        let named = project(Source::Containers(vec![ContainerSelector {
            service: None,
            ways: vec![crate::domain::project::Way::Label("a".into())],
        }]));
        let unnamed = stores(&named, &containers[..1], Some(&volumes));
        assert_eq!(unnamed.iter().find(|s| s.kind == StoreKind::Anonymous).map(|s| s.lasts), Some(Lasts::UntilRemade));
        assert!(!unnamed.iter().any(|s| s.users.is_empty()), "volumes of other people's projects are none of it");
    }

    #[test]
    fn what_the_engine_counted_is_noted_with_its_time() {
        let sized = |counted| {
            let mut stores =
                [Store { name: Some("data".into()), ..store(StoreKind::Volume, Lasts::Longer) }, store(StoreKind::Bind, Lasts::Longer)];
            let said = count(&mut stores, counted);
            assert_eq!(stores[1].size, Figure::Unknown(Why::Nothing), "that is no volume");
            (stores[0].size, said)
        };
        let counted = |name: &str| Some((9, Ok(std::sync::Arc::new(BTreeMap::from([(name.to_owned(), 5)])))));
        assert_eq!(sized(counted("data")), (Figure::Known { bytes: 5, at_least: false, measured: 9 }, None));
        assert_eq!(sized(counted("other")), (Figure::Unknown(Why::Untold), None));
        assert_eq!(sized(None), (Figure::Unknown(Why::Slow), None));
        let refused = Some((9, Err(crate::engine::docker::EngineError::Refused("403".into()))));
        let said = "How much the volumes hold is not known: the Docker engine refused: `403`.".to_owned();
        assert_eq!(sized(refused), (Figure::Unknown(Why::Untold), Some(said)));
    }

    #[test]
    fn memory_of_the_host_does_not_last() {
        let space = crate::domain::space::Space { device: 1, free: 1, total: 2 };
        let seen = |room, silent| Seen { size: None, room, silent };
        let noted = |lasts, seen| {
            let mut one = store(StoreKind::Bind, lasts);
            apply(&mut one, seen);
            (one.lasts, one.trouble)
        };
        let room = |memory| Ok(Room { space, memory, writable: true });
        assert_eq!(noted(Lasts::Longer, seen(room(false), false)), (Lasts::Longer, None));
        assert_eq!(noted(Lasts::Longer, seen(room(true), false)), (Lasts::UntilBoot, None));
        assert_eq!(noted(Lasts::HandedOn, seen(room(true), false)), (Lasts::HandedOn, None));
        assert_eq!(noted(Lasts::Longer, seen(Err(Why::Gone), false)), (Lasts::Longer, Some(Trouble::Gone)));
        assert_eq!(noted(Lasts::Longer, seen(Err(Why::Slow), true)), (Lasts::Longer, Some(Trouble::Silent)));
        assert_eq!(noted(Lasts::Longer, seen(Err(Why::NotHere), false)), (Lasts::Longer, None));
    }
}

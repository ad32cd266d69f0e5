//! What a project's services are made from, by the kind of project.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::super::managed;
use super::super::tools::{Config, Tools};
use super::overlay;
use super::production::{environment, production_only};
use crate::domain::container::Container;
use crate::domain::failure::Failure;
use crate::domain::managed::{Managed, MountSource};
use crate::domain::plan::Made;
use crate::domain::project::{ComposeSource, Project, ServiceName, Source};
use crate::domain::pull_policy::PullPolicy;
use crate::domain::volumes::StoreKind;
use crate::engine::compose::{Bind, DeclaredLinks, Definition, Files, Resolved};
use crate::files::rules::Rules;

/// What a project's services are made from.
pub(super) struct Declared {
    /// As Compose has it, where it is a compose project.
    pub(super) composed: Option<Composed>,
    /// What the services are to be.
    pub(super) definitions: BTreeMap<ServiceName, Definition>,
    /// What they were to be before, as far as that makes a difference.
    pub(super) before: BTreeMap<ServiceName, Definition>,
    /// The configuration that production's own compose files come to; none where they cannot be resolved.
    pub(super) resolved_before: Option<Resolved>,
    /// The variables of production's own compose files that nothing sets; none where those cannot be resolved.
    pub(super) unset_before: Option<BTreeSet<String>>,
    /// A hash of all that they are made from.
    pub(super) configuration: String,
    /// What their containers are to be made from, where not Compose knows that.
    pub(super) made: BTreeMap<ServiceName, Made>,
}

/// A compose project, its configuration resolved. It holds values of `.env`, so it is never printed.
pub(super) struct Composed {
    pub(super) source: ComposeSource,
    pub(super) config: Config,
}

impl Composed {
    /// Its files below a directory, for production.
    pub(super) fn files<'a>(&'a self, root: &'a Path, directory: &'a Path, environment: Option<&'a Path>) -> Files<'a> {
        Files { name: &self.source.name, root, files: &self.source.files, directory, environment }
    }
}

/// Finds out what a project's services are made from, once its files are in production. `source` is where they come from.
pub(super) async fn declared(
    tools: &Tools,
    project: &Project,
    source: &Path,
    production: &Path,
    rules: &Rules,
    what: &str,
) -> Result<Declared, Failure> {
    match &project.source {
        Source::Compose(compose) => composed(tools, project, compose, source, production, rules, what).await,
        Source::Containers(_) => {
            let containers = tools.containers(project).await.map_err(|e| e.failure(what))?;
            Ok(Declared { definitions: mounted(&containers, production), ..Declared::nothing() })
        }
        Source::Services(managed) => {
            // As it is written, it may be a link.
            let written = project.production.as_deref().unwrap_or(production);
            let below = |path: &Path| path.strip_prefix(written).or_else(|_| path.strip_prefix(production)).ok().map(Path::to_owned);
            // A deploy may bring files of the environment.
            let brought = |file: &Path| below(file).filter(|path| overlay::is_brought(source, path, rules)).map(|path| source.join(path));
            let place = |file: &Path| brought(file).unwrap_or_else(|| file.to_owned());
            let real = |path: &Path| below(path).map_or_else(|| path.to_owned(), |path| production.join(path));
            let containers = tools.containers(project).await.map_err(|e| e.failure(what))?;
            from_definitions(tools, managed, &containers, production, &place, &real, what).await
        }
    }
}

impl Declared {
    fn nothing() -> Self {
        let (definitions, before, made) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { composed: None, definitions, before, resolved_before: None, unset_before: None, configuration: String::new(), made }
    }
}

async fn composed(
    tools: &Tools,
    project: &Project,
    compose: &ComposeSource,
    source: &Path,
    production: &Path,
    rules: &Rules,
    what: &str,
) -> Result<Declared, Failure> {
    let environment = environment(production);
    let files =
        Files { name: &compose.name, root: source, files: &compose.files, directory: production, environment: environment.as_deref() };
    let resolving = overlay::resolve(tools, what, &project.name, &files, rules);
    // Production that cannot be resolved is replaced by what can: it only tells what is new.
    let (config, current) = if overlay::says_the_same(&files).await {
        let config = resolving.await?;
        tools.learn(project, &config);
        (config.clone(), Some(config))
    } else {
        let (config, current) = tokio::join!(resolving, production_only(tools, project));
        (config?, current.ok().flatten())
    };
    if let Some(why) = config.resolved.unsupported() {
        return Err(Failure::new(what, why, "Deploy that part by hand, from a compose file of its own."));
    }
    Ok(Declared {
        definitions: config.resolved.services(&compose.name, production),
        before: current.as_ref().map(|c| c.resolved.services(&compose.name, production)).unwrap_or_default(),
        unset_before: current.as_ref().map(|c| c.unset.iter().cloned().collect()),
        resolved_before: current.map(|c| c.resolved),
        configuration: config.resolved.hash(),
        composed: Some(Composed { source: compose.clone(), config }),
        made: BTreeMap::new(),
    })
}

/// What containers that somebody else made have mounted: all that is known of what they are made from. Whichever way leads to
/// production, it is named as `production` here.
fn mounted(containers: &[Container], production: &Path) -> BTreeMap<ServiceName, Definition> {
    let mut all: BTreeMap<ServiceName, Definition> = BTreeMap::new();
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let root = real(production);
    // The engine tells them as they were written.
    let named = |source: &PathBuf| {
        let source = real(source);
        source.strip_prefix(&root).map_or_else(|_| source.clone(), |below| production.join(below))
    };
    for container in containers {
        let binds = container.attached.iter().filter(|a| a.kind == StoreKind::Bind);
        let binds = binds
            .filter_map(|a| Some(Bind { source: named(a.source.as_ref()?), target: a.at.clone(), writable: a.writable, is_made: false }));
        let definition = all.entry(container.service.clone()).or_insert_with(|| definition(&container.image));
        definition.binds.extend(binds);
    }
    all
}

fn definition(image: &str) -> Definition {
    Definition {
        image: image.to_owned(),
        build: None,
        depends_on: BTreeSet::new(),
        binds: Vec::new(),
        asks: BTreeSet::new(),
        pull_policy: PullPolicy::default(),
        has_volume: false,
        links: DeclaredLinks::default(),
    }
}

/// What we make ourselves: a file that it mounts read-only, or a program below production that it runs, is one of its files.
/// `place` says where a file of an environment is read, `real` what a path is where production is no link.
async fn from_definitions(
    tools: &Tools,
    managed: &Managed,
    containers: &[Container],
    production: &Path,
    place: &(dyn Fn(&Path) -> PathBuf + Sync),
    real: &(dyn Fn(&Path) -> PathBuf + Sync),
    what: &str,
) -> Result<Declared, Failure> {
    let mut declared = Declared::nothing();
    let mut hasher = blake3::Hasher::new();
    for (service, made) in &managed.services {
        let process = managed::is_process(tools, made, &managed::those(service, containers), true).await;
        let whole = managed::whole_at(what, service, made, process, place).await?;
        hasher.update(service.as_str().as_bytes());
        hasher.update(whole.hash.as_bytes());
        let mut definition = definition(made.container().filter(|_| !process).map_or("", |c| &c.image));
        definition.depends_on = made.depends_on.keys().cloned().collect();
        for volume in made.container().filter(|_| !process).into_iter().flat_map(|c| &c.volumes) {
            if let MountSource::Path(source) = &volume.source {
                definition.binds.push(Bind {
                    source: real(source),
                    target: PathBuf::from(&volume.target),
                    writable: !volume.read_only,
                    is_made: false,
                });
            }
        }
        if let Some(process) = made.process().filter(|_| process) {
            let program = process.command.first().map(PathBuf::from);
            let directory = process.directory.clone().unwrap_or_else(|| production.to_owned());
            definition.binds.extend(program.into_iter().chain([directory]).map(|source| {
                let (source, target) = (real(&source), PathBuf::new());
                Bind { source, target, writable: false, is_made: false }
            }));
        }
        declared.definitions.insert(service.clone(), definition);
        declared.made.insert(service.clone(), Made::Managed(whole.hash, made.instances));
    }
    declared.configuration = hasher.finalize().to_hex().to_string();
    Ok(declared)
}

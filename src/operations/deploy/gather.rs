//! What the plan for a deploy needs to know, found out without changing anything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::Instant;

use super::super::hooks;
use super::super::ownerless::ownerless;
use super::super::recorder::history_failure;
use super::super::relay;
use super::super::stops::stopped;
use super::super::tools::{Config, Tools};
use super::bind_sources::BindSources;
use super::build_inputs::build_facts;
use super::content;
use super::counts::added_since;
use super::declared::{Declared, declared};
use super::dependencies;
use super::links::{first_ids, links};
use super::mounts::same_on_host;
use super::named::check_names;
use super::places::{Coming, files_there, free_bytes, places, release_tree, remarks, wanted, writable};
use super::production::{environment, environment_hash};
use super::pull::pull_facts;
use super::resources::resources;
use super::trees::{rules, scans, touchable, tree_path};
use super::upgrades;
use super::variables::variables;
use super::writable::{Ground, Mounted, build_ignore, written};
use crate::domain::Millis;
use crate::domain::container::Container;
use crate::domain::desired::DesiredState;
use crate::domain::failure::Failure;
use crate::domain::job;
use crate::domain::manifest::{Entry, Manifest, TreePath};
use crate::domain::names::{Match, find};
use crate::domain::plan::{
    BuildFacts, DeployFacts, Links, Made, MissingSource, Plan, Preserved, Pull, Resources, ServiceFacts, Variables, WrittenMount, is_store,
    plan_deploy,
};
use crate::domain::project::{Project, ServiceName, Source};
use crate::domain::pull_policy::PullPolicy;
use crate::domain::request::{ReleaseOptions, Request};
use crate::domain::shared::Shared;
use crate::domain::untrusted::UntrustedText;
use crate::engine::compose::{Definition, Version};
use crate::engine::docker::EngineError;
use crate::engine::passing::is_stuck;
use crate::files::rsync;
use crate::files::rules::Rules;
use crate::files::scan::Scan;
use crate::history::releases::{Current, ReleaseRecord};
use crate::untrusted::{self, ReadError};

/// How many images are asked for at a time.
const IMAGES_AT_ONCE: usize = 16;

/// Everything that planning a deploy found out. Holds the resolved configuration, so it is never printed.
pub(in super::super) struct Facts {
    /// When the finding out began.
    pub(super) since: Instant,
    /// What it means that it cannot be done.
    pub(super) what: String,
    /// Where the files are read from: the workspace, or the tree of an earlier release.
    pub(super) source_root: PathBuf,
    /// Production without symbolic links: where its files are read and written.
    pub(super) production_root: PathBuf,
    /// Production as projects.json names it, which is what Compose is given: it follows no link in a path that it hands to the engine,
    /// so that containers, hashes and mounts of one project always name one path.
    pub(super) directory: PathBuf,
    pub(super) declared: Declared,
    /// What the project excludes.
    pub(super) excluded: Rules,
    /// What counts in production.
    pub(super) rules: Rules,
    /// What production is to hold.
    pub(super) workspace: Manifest,
    /// What is staged: that, and what images are built from.
    pub(super) staged: Manifest,
    /// What production holds, without what is left as it is there.
    pub(super) production: Manifest,
    pub(super) current: Option<Current>,
    /// What of production is ours, without what is left as it is there; none before the first deploy.
    owned: Option<Manifest>,
    /// What is left as production has it.
    pub(super) preserved: Preserved,
    /// The number of the release that comes.
    pub(in super::super) release: i64,
    /// The release that comes, where it is an earlier one.
    pub(super) old: Option<ReleaseRecord>,
    /// The number under which production is kept first, where it is no longer what the current release brought.
    pub(super) keeps: Option<i64>,
    /// The part of production that is kept then: all that the release that comes could touch.
    pub(super) kept: Manifest,
    /// A hash of production's `.env`.
    pub(super) environment: Option<String>,
    pub(super) services: Vec<ServiceFacts>,
    /// What acts between them.
    links: Links,
    /// The version of Compose.
    compose: Option<Version>,
    containers: Vec<Container>,
    /// What the coming files say of which services there are to be.
    desired: Option<DesiredState>,
    /// Of a rollback, the services that later releases added.
    added: BTreeSet<ServiceName>,
    /// The services that run an image which is gone from the engine.
    lost: BTreeSet<ServiceName>,
    /// The services that a person stopped, and who it was.
    stopped: BTreeMap<ServiceName, String>,
    /// The services that share something of a container that is gone.
    ownerless: BTreeMap<ServiceName, Shared>,
    missing: Vec<MissingSource>,
    resources: Resources,
    now: Millis,
    pub(super) variables: Variables,
    /// The paths that services may write to.
    written: Vec<WrittenMount>,
    /// What services mount and production has not.
    absent: Vec<TreePath>,
    free: Option<u64>,
    /// What to tell beyond what the plan finds.
    remarks: Vec<String>,
}

fn unread_place(project: &Project, error: &ReadError, what: &str) -> Failure {
    Failure::new(
        what,
        format!("Its directories cannot be read: {}.", error.reason()),
        format!("Check the disks of {} and ask again.", project.name),
    )
}

/// Finds out everything. What takes long is on the heap: together it would be more than the stack of a thread holds where nothing is
/// optimised.
pub(in super::super) async fn gather(tools: &Tools, project: &Project, coming: Coming, options: &ReleaseOptions) -> Result<Facts, Failure> {
    let since = Instant::now();
    let what = match coming {
        Coming::Workspace => format!("{} cannot be deployed.", project.name),
        Coming::Release(_) => format!("{} cannot be rolled back.", project.name),
    };
    let (owned, data, doing) = (project.clone(), tools.data.clone(), what.clone());
    let found = untrusted::off_runtime(move || places(&owned, &data, coming, &doing)).await;
    let directory = project.production.clone().unwrap_or_default();
    let (workspace, production_root) = found.map_err(|error| unread_place(project, &error, &what)).and_then(|there| there)?;
    same_on_host(tools, &project.name, workspace.as_deref(), &production_root, &what).await?;
    let old = match coming {
        Coming::Workspace => None,
        Coming::Release(number) => Some(wanted(tools, project, number, &what).await?),
    };
    let old_tree = old.as_ref().map(|r| release_tree(tools, &project.name, r.number));
    let source_root = workspace.clone().or(old_tree).unwrap_or_default();
    let (owned, root, number, doing) = (project.clone(), source_root.clone(), old.as_ref().map(|r| r.number), what.clone());
    let there = untrusted::off_runtime(move || files_there(&owned, &root, number, &doing)).await;
    there.map_err(|error| unread_place(project, &error, &what)).and_then(|there| there)?;
    let excluded = rules(project, &source_root, &what).await?;
    let declared = Box::pin(declared(tools, project, &source_root, &directory, &excluded, &what)).await?;
    // Said before anybody is asked to confirm what could not be done.
    if !rsync::is_installed(&std::env::var_os("PATH").unwrap_or_default()) {
        return Err(rsync::missing(&what));
    }
    let (definitions, before) = (&declared.definitions, &declared.before);
    let ours = relay::own_service(tools, project).await.map_err(|e| e.failure(&*what))?;
    let unread = |e| history_failure(&*what, &e);
    let current = tools.history.release_current(project.name.clone()).await.map_err(unread)?;
    let ground = Ground {
        tools,
        project,
        source: &source_root,
        production: &directory,
        declared: &declared,
        ours: ours.as_ref(),
        current: current.as_ref(),
        old: old.as_ref(),
        rules: &excluded,
        what: &what,
    };
    let mounted = Box::pin(Mounted::of(&ground)).await?;
    let ((mut containers, made), (workspace_scan, production_scan), next) = tokio::try_join!(
        Box::pin(async {
            let containers = tools.containers(project).await.map_err(|e| e.failure(&*what))?;
            let made = made(tools, &declared, &source_root, &directory, &containers, &what).await?;
            Ok((containers, made))
        }),
        Box::pin(scans(tools, project, workspace.as_deref(), &production_root, &mounted, &what)),
        async { tools.history.release_next(project.name.clone()).await.map_err(unread) },
    )?;
    if let Some(composed) = &declared.composed {
        // As the services are to be, not as production declares them yet.
        job::assign(project, &composed.config.resolved.purposes(), &mut containers);
    }
    let stopped = stopped(tools, &containers).await;
    let ownerless = ownerless(tools, &containers).await;
    let resources = Box::pin(resources(tools, &declared, &containers, &what)).await?;
    let trees = Box::pin(Trees::of(&ground, &mounted, (&workspace_scan, &production_scan), &options.overwrite)).await?;
    let binds = BindSources::of(&ground, &trees, &containers).await?;
    let kept = touchable(&trees.production, &trees.coming, current.as_ref());
    let keeps = must_be_kept(tools, project, current.as_ref(), (&kept, &mounted, &trees.preserved), &containers, &what).await?;
    let keeps = keeps.then_some(next);
    let lost = lost_images(tools, project, &containers, &what).await?;
    let mut services = Vec::new();
    for (name, definition) in definitions {
        let asked = before.get(name).map(|d| d.asks.clone()).unwrap_or_default();
        let asks = definition.asks.difference(&asked).cloned().collect();
        services.push(
            service(
                tools,
                project,
                name,
                definition,
                asks,
                &made,
                &trees.staged,
                (&source_root, &directory),
                ours.as_ref(),
                &containers,
                &what,
            )
            .await?,
        );
    }
    let desired = declared.composed.as_ref().map(|composed| composed.config.desired());
    for service in &mut services {
        let own: Vec<&Container> = containers.iter().filter(|c| c.service == service.name).collect();
        let is_seen = service.made.differs(&own).is_some();
        service.unseen.extend(resources.unseen(&service.name, &own, is_seen).into_iter().chain(binds.unseen(&service.name)));
        if own.iter().any(|c| !c.runs() && is_stuck(&c.error)) {
            service.unseen.push("the engine can never start its container again".to_owned());
        }
        service.replicas = desired.as_ref().and_then(|desired| desired.replicas(&service.name));
        if let Some(composed) = &declared.composed {
            let resolved = (declared.resolved_before.as_ref(), &composed.config.resolved);
            service.unseen.extend(dependencies::unseen(&service.name, &service.made, resolved, &containers));
        }
    }
    let mut added = BTreeSet::new();
    if let (Some(old), Some(desired)) = (&old, &desired) {
        let before = before.keys().cloned().collect();
        added = added_since(tools, project, (old, desired, &before), &containers, &what).await?;
        added.retain(|service| ours.as_ref() != Some(service));
    }
    // Of what we make ourselves, the image is what the configuration says.
    if let Some(old) = old.as_ref().filter(|_| declared.composed.is_some()) {
        for service in &mut services {
            kept_image(tools, project, old, service, &what).await?;
        }
    }
    writable(&production_root, &what)?;
    let releases = current.iter().map(|current| &current.release);
    let variables = variables(declared.composed.as_ref().map(|c| &c.config), &directory, releases, old.as_ref()).await;
    if let Some(composed) = &declared.composed {
        let environment = environment(&directory);
        let files = composed.files(&source_root, &directory, environment.as_deref());
        Box::pin(content::compare(tools, project, &files, &composed.config.resolved, &mut services, &containers, &what)).await?;
        Box::pin(upgrades::explain(tools, project, (composed, &directory), current.as_ref(), (&mut services, &containers), &stopped)).await;
    }
    let links = links(definitions, &containers);
    let remarks = remarks(&workspace_scan).into_iter().chain(further_tags(definitions)).chain(provided(&declared)).collect();
    let free = [&tools.data, &production_root].into_iter().filter_map(|p| free_bytes(p)).min();
    Ok(Facts {
        since,
        release: old.as_ref().map_or(next + i64::from(keeps.is_some()), |r| r.number),
        keeps,
        kept,
        environment: environment_hash(&production_root).await,
        owned: current.as_ref().map(|current| trees.preserved.without(&current.owned)),
        rules: mounted.production,
        current,
        old,
        what,
        workspace: trees.coming,
        staged: trees.staged,
        production: trees.production,
        preserved: trees.preserved,
        source_root,
        production_root,
        directory,
        declared,
        excluded,
        services,
        links,
        compose: tools.compose.version(),
        containers,
        desired,
        added,
        lost,
        stopped,
        ownerless,
        missing: binds.missing,
        resources,
        now: (tools.clock)(),
        variables,
        written: trees.written,
        absent: trees.absent,
        free,
        remarks,
    })
}

impl Facts {
    /// How a service's image is built.
    pub(super) fn build_of(&self, service: &ServiceName) -> Option<&BuildFacts> {
        self.services.iter().find(|s| s.name == *service)?.build.as_ref()
    }

    /// Whether a configuration is the one that was planned with.
    pub(super) fn is_configured_as(&self, config: &Config) -> bool {
        config.hash_is(&self.declared.configuration)
    }

    /// The plan that follows from these facts.
    pub(in super::super) fn plan(&self, project: &Project, options: &ReleaseOptions) -> Result<Plan, Failure> {
        // Names are matched in any case; what is unknown stays as it was typed, to be refused.
        let spelt = |typed: &ServiceName| {
            let known = self.services.iter().map(|s| &s.name).chain(self.containers.iter().map(|c| &c.service));
            let known = known.chain(self.desired.iter().flat_map(DesiredState::names)).map(ServiceName::as_str);
            let Match::Found(name) = find(typed.as_str(), known) else { return typed.clone() };
            ServiceName::new(name).unwrap_or_else(|_| typed.clone())
        };
        let with: BTreeSet<ServiceName> = options.with.iter().map(spelt).collect();
        let (name, options) = (project.name.clone(), ReleaseOptions { with: with.clone(), ..options.clone() });
        let request = match &self.old {
            None => Request::Deploy { project: name, options },
            Some(old) => Request::Rollback { project: name, release: Some(old.number), options },
        };
        let before = self.declared.before.keys().cloned().collect();
        let facts = DeployFacts {
            project,
            desired: self.desired.as_ref(),
            before: &before,
            added: &self.added,
            workspace: &self.workspace,
            staged: &self.staged,
            production: &self.production,
            owned: self.owned(),
            release: self.release,
            back: self.old.is_some(),
            keeps: self.keeps,
            kept: &self.kept,
            held: self.current.as_ref().map(|c| &c.release.manifest),
            held_staged: self.current.as_ref().map(|c| &c.release.staged),
            services: &self.services,
            containers: &self.containers,
            links: &self.links,
            configuration: &self.declared.configuration,
            variables: &self.variables,
            written: &self.written,
            absent: &self.absent,
            preserved: &self.preserved,
            free: self.free,
            lost: &self.lost,
            stopped: &self.stopped,
            ownerless: &self.ownerless,
            missing: &self.missing,
            resources: &self.resources,
            now: self.now,
        };
        let mut plan = plan_deploy(&facts, &request, &with)?;
        plan.warnings.extend(self.remarks.iter().cloned());
        let hooks = self.declared.composed.as_ref().map(|composed| composed.config.resolved.hooks()).unwrap_or_default();
        plan.warnings.extend(hooks::ignored(self.compose, &hooks, &plan));
        if self.old.as_ref().is_some_and(|old| old.environment != self.environment) && !plan.is_empty() {
            plan.warnings.push(".env is not the one that this release ran with: it is never kept, and the current one is used.".to_owned());
        }
        Ok(plan)
    }

    /// Refuses what projects.json says and the files do not.
    pub(in super::super) async fn check_names(&self, tools: &Tools, project: &Project) -> Result<(), Failure> {
        let declared = self.declared.definitions.keys().chain(self.declared.before.keys());
        let known = declared.chain(self.containers.iter().map(|c| &c.service)).cloned().collect();
        check_names(tools, project, &self.what, Some(&self.source_root), &known).await
    }

    /// What runs of it.
    pub(in super::super) fn containers(&self) -> &[Container] {
        &self.containers
    }

    /// What of production is ours; none before the first deploy.
    pub(super) fn owned(&self) -> Option<&Manifest> {
        self.owned.as_ref()
    }

    /// What of production will be ours once the release that comes is there.
    pub(super) fn puts(&self) -> Manifest {
        self.preserved.put(&self.workspace, self.current.as_ref().map(|c| &c.owned))
    }
}

/// What is said of services that have no containers.
fn provided(declared: &Declared) -> impl Iterator<Item = String> {
    let provided = declared.composed.as_ref().map(|c| c.config.resolved.provided()).unwrap_or_default();
    provided.into_iter().map(|(service, provider)| {
        let (service, provider) = (UntrustedText::from(service), UntrustedText::from(provider));
        format!("{service} has no container: Compose runs {provider} for it whenever it brings up what needs it.")
    })
}

/// What is said of images that get further names.
fn further_tags(definitions: &BTreeMap<ServiceName, Definition>) -> impl Iterator<Item = String> + '_ {
    let tagged = definitions.iter().filter_map(|(name, d)| Some((name, &d.build.as_ref()?.tags))).filter(|(_, tags)| !tags.is_empty());
    tagged.map(|(name, tags)| {
        let tags = crate::domain::text::listing(tags.iter().map(UntrustedText::from), 3);
        format!("The further tags of {name} ({tags}) move as soon as it is built, also where the deploy fails after that.")
    })
}

/// The files of a deploy, as they are to be and as they are.
pub(super) struct Trees {
    /// What production is to hold.
    pub(super) coming: Manifest,
    staged: Manifest,
    /// What production holds, without what is left as it is there.
    production: Manifest,
    preserved: Preserved,
    written: Vec<WrittenMount>,
    absent: Vec<TreePath>,
}

impl Trees {
    async fn of(ground: &Ground<'_>, mounted: &Mounted, scans: (&Scan, &Scan), overwrite: &BTreeSet<TreePath>) -> Result<Self, Failure> {
        let (workspace, production) = (&scans.0.manifest, &scans.1.manifest);
        // An earlier release as it was kept, whatever is excluded by now.
        let copied = ground.old.map_or_else(|| mounted.copied(workspace), |old| mounted.returning(&old.manifest));
        let preserved = mounted.preserved(ground, &copied, production, overwrite).await?;
        let coming = preserved.coming(&copied);
        let (written, absent) = mounted.paths(ground, &copied).await?;
        Ok(Self {
            staged: ground.old.map_or_else(|| mounted.staged(workspace, &coming), |old| old.staged.clone()),
            production: preserved.without(production),
            coming,
            preserved,
            written,
            absent,
        })
    }
}

/// What the containers of the services are to be made from.
async fn made(
    tools: &Tools,
    declared: &Declared,
    source: &Path,
    production: &Path,
    containers: &[Container],
    what: &str,
) -> Result<BTreeMap<ServiceName, Made>, Failure> {
    let Some(composed) = &declared.composed else { return Ok(declared.made.clone()) };
    let environment = environment(production);
    let files = composed.files(source, production, environment.as_deref());
    let hashes = tools.hashes(what, &files, &composed.config.resolved, &first_ids(containers)).await?;
    Ok(hashes.into_iter().map(|(service, hash)| (service, Made::Compose(hash))).collect())
}

/// Whether production is no longer what its release brought: its files, or the images that run.
async fn must_be_kept(
    tools: &Tools,
    project: &Project,
    current: Option<&Current>,
    (kept, mounted, preserved): (&Manifest, &Mounted, &Preserved),
    containers: &[Container],
    what: &str,
) -> Result<bool, Failure> {
    let Some(Current { release, .. }) = current else { return Ok(true) };
    // The modes of directories that a service writes to are its own.
    let counts = |(path, entry): &(&TreePath, &Entry)| !(preserved.holds(path) || entry.is_directory() && mounted.is_written(path));
    let same = kept.0.iter().filter(counts).eq(release.manifest.0.iter().filter(counts));
    if !same || !release_tree(tools, &project.name, release.number).is_dir() {
        return Ok(true);
    }
    // What images others run, and we make others from, is no part of a release.
    for container in containers.iter().filter(|_| matches!(project.source, Source::Compose(_))) {
        let own = tools.own_tag(&project.name, &container.service, release.number);
        let image = tools.docker.image_id(&own).await.map_err(|e| e.failure(what))?;
        if image.as_deref() != Some(container.image_id.as_str()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The services whose image is gone from the engine although they run: with the containerd image store a build that moves its tag
/// removes it at once.
async fn lost_images(tools: &Tools, project: &Project, containers: &[Container], what: &str) -> Result<BTreeSet<ServiceName>, Failure> {
    if !matches!(project.source, Source::Compose(_)) {
        return Ok(BTreeSet::new());
    }
    let mut images: BTreeMap<String, BTreeSet<ServiceName>> = BTreeMap::new();
    for container in containers {
        images.entry(container.image_id.clone()).or_default().insert(container.service.clone());
    }
    let asked = images.into_iter().map(|(image, services)| async move {
        let there = tools.docker.image_id(&image).await?.is_some();
        Ok::<_, EngineError>((!there).then_some(services))
    });
    let lost: Vec<Option<BTreeSet<ServiceName>>> =
        stream::iter(asked).buffer_unordered(IMAGES_AT_ONCE).try_collect().await.map_err(|e| e.failure(what))?;
    Ok(lost.into_iter().flatten().flatten().collect())
}

/// The image that a service of an earlier release ran: nothing is built where it is still there.
async fn kept_image(tools: &Tools, project: &Project, old: &ReleaseRecord, service: &mut ServiceFacts, what: &str) -> Result<(), Failure> {
    // A name with a digest means the same image in every release.
    if !old.images.contains_key(&service.name) || service.image.contains('@') {
        return Ok(());
    }
    let own = tools.own_tag(&project.name, &service.name, old.number);
    if let Some(id) = tools.docker.image_id(&own).await.map_err(|e| e.failure(what))? {
        service.image_id = Some(id);
        service.build = None;
    } else if let Some(build) = &mut service.build {
        // What runs may well be from the same files; the release's own image is gone all the same.
        build.pruned = true;
    }
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "the facts of one service come from everywhere; a struct for one call says no more")]
async fn service(
    tools: &Tools,
    project: &Project,
    name: &ServiceName,
    definition: &Definition,
    asks: Vec<String>,
    made: &BTreeMap<ServiceName, Made>,
    staged: &Manifest,
    (source, production): (&Path, &Path),
    ours: Option<&ServiceName>,
    containers: &[Container],
    what: &str,
) -> Result<ServiceFacts, Failure> {
    let build = match &definition.build {
        None => None,
        Some(section) => {
            let (of, root, from) = (section.clone(), production.to_owned(), source.to_owned());
            let ignored = untrusted::off_runtime(move || build_ignore(&of, &root, &from)).await;
            let ignored = ignored.map_err(|error| unread_place(project, &error, what))?;
            let mut facts = build_facts(name, section, &ignored, staged, production, what)?;
            if let Some(container) = containers.iter().find(|c| c.service == *name) {
                let inputs = tools.history.build_inputs(project.name.clone(), container.image_id.clone()).await;
                facts.running = inputs.map_err(|e| history_failure(what, &e))?;
            }
            Some(facts)
        }
    };
    let image_id = match made.get(name) {
        // Nothing is made from it.
        None | Some(Made::Elsewhere) => None,
        Some(_) if definition.image.is_empty() => None,
        Some(_) => tools.docker.image_id(&definition.image).await.map_err(|e| match e {
            EngineError::Refused(why) => {
                let image = UntrustedText::from(&definition.image);
                let next = "Correct it in the compose file, or set the variable that it is made of in production's .env.";
                Failure::new(what, format!("The image of {name} is {image}, which the engine refuses: {why}."), next)
            }
            other => other.failure(what),
        })?,
    };
    let pull = match build {
        None if image_id.is_some() || definition.pull_policy == PullPolicy::Never => pull_facts(tools, definition, what).await?,
        _ => Pull::default(),
    };
    let read = definition.binds.iter().filter(|b| !b.writable).filter_map(|b| b.source.strip_prefix(production).ok()).map(tree_path);
    let mounts = read.chain(written(production, ours, std::iter::once((name, definition))).into_iter().map(|(path, _)| path)).collect();
    Ok(ServiceFacts {
        name: name.clone(),
        made: made.get(name).cloned().unwrap_or(Made::Elsewhere),
        build,
        image_id,
        image: definition.image.clone(),
        replicas: None,
        depends_on: definition.depends_on.clone(),
        mounts,
        asks,
        seems_stateful: definition.has_volume || is_store(&definition.image),
        pull,
        unseen: Vec::new(),
        upgraded: None,
        content: None,
    })
}

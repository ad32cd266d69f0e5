//! What the plan for a deploy needs to know, found out without changing anything.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::super::recorder::history_failure;
use super::super::tools::{Config, Tools};
use super::overlay;
use crate::domain::container::Container;
use crate::domain::failure::Failure;
use crate::domain::manifest::{Manifest, TreePath};
use crate::domain::names::{Match, find};
use crate::domain::plan::{BuildFacts, DeployFacts, Plan, ServiceFacts, plan_deploy};
use crate::domain::project::{ComposeSource, Project, ServiceName, Source};
use crate::domain::request::Request;
use crate::engine::compose::{BuildSection, Definition, Files};
use crate::files::rsync;
use crate::files::rules::Rules;
use crate::files::scan::{Scan, scan};
use crate::history::operations::ReleaseRecord;

/// Everything that planning a deploy found out. Holds the resolved configuration, so it is never printed.
pub(in super::super) struct Facts {
    pub(super) workspace_root: PathBuf,
    pub(super) production_root: PathBuf,
    pub(super) compose: ComposeSource,
    pub(super) config: Config,
    pub(super) definitions: BTreeMap<ServiceName, Definition>,
    pub(super) rules: Rules,
    pub(super) workspace: Manifest,
    pub(super) production: Manifest,
    pub(super) last: Option<ReleaseRecord>,
    /// The number that this release will have.
    pub(in super::super) release: i64,
    services: Vec<ServiceFacts>,
    containers: Vec<Container>,
    pub(super) configuration: String,
    written: Vec<(TreePath, ServiceName)>,
    free: Option<u64>,
    /// What to tell beyond what the plan finds.
    remarks: Vec<String>,
}

/// The file with production's variables, where there is one.
fn environment(production: &Path) -> Option<PathBuf> {
    Some(production.join(".env")).filter(|p| p.is_file())
}

/// Production's own compose files, resolved; none where it has none yet or the project is none of Compose.
pub(in super::super) async fn production_config(tools: &Tools, project: &Project) -> Result<Option<Config>, Failure> {
    let (Source::Compose(compose), Some(root)) = (&project.source, &project.production) else { return Ok(None) };
    if compose.files.iter().any(|f| !root.join(f).is_file()) {
        return Ok(None);
    }
    let environment = environment(root);
    let files = Files { name: &compose.name, root, files: &compose.files, directory: root, environment: environment.as_deref() };
    tools.resolve(&format!("{}'s production cannot be read.", project.name), &files).await.map(Some)
}

/// Finds out everything.
pub(in super::super) async fn gather(tools: &Tools, project: &Project) -> Result<Facts, Failure> {
    let what = format!("{} cannot be deployed.", project.name);
    let (compose, workspace_root, production_root) = places(project, &tools.data, &what)?;
    files_there(project, &compose, &workspace_root, &what)?;
    let environment = environment(&production_root);
    let files = Files {
        name: &compose.name,
        root: &workspace_root,
        files: &compose.files,
        directory: &production_root,
        environment: environment.as_deref(),
    };
    let before_mounts = rules(project, &workspace_root, &[], &what)?;
    let config = overlay::resolve(tools, &what, &project.name, &files, &before_mounts).await?;
    // Said before anybody is asked to confirm what could not be done.
    if !rsync::is_installed(&std::env::var_os("PATH").unwrap_or_default()) {
        return Err(rsync::missing(&what));
    }
    // Production that cannot be resolved is replaced by what can: it only tells what is new.
    let current = production_config(tools, project).await.ok().flatten();
    let definitions = config.resolved.services(&compose.name, &production_root);
    let before = current.as_ref().map(|c| c.resolved.services(&compose.name, &production_root)).unwrap_or_default();
    let written = written(&production_root, definitions.iter().chain(&before));
    let rules = rules(project, &workspace_root, &written, &what)?;
    let (workspace_scan, production_scan) = scans(tools, &workspace_root, &production_root, &rules, &what).await?;
    let containers = tools.docker.containers(&project.source).await.map_err(|e| e.failure(&*what))?;
    let last = tools.history.release_last(project.name.clone()).await.map_err(|e| history_failure(&*what, &e))?;
    let mut services = Vec::new();
    for (name, definition) in &definitions {
        let asked = before.get(name).map(|d| d.asks.clone()).unwrap_or_default();
        let asks = definition.asks.difference(&asked).cloned().collect();
        services.push(
            service(tools, project, name, definition, asks, &config, &workspace_scan.manifest, &production_root, &containers, &what)
                .await?,
        );
    }
    writable(&production_root, &what)?;
    let free = [&tools.data, &production_root].into_iter().filter_map(|p| free_bytes(p)).min();
    let mut remarks = remarks(&workspace_scan);
    for (name, tags) in
        definitions.iter().filter_map(|(name, d)| Some((name, &d.build.as_ref()?.tags))).filter(|(_, tags)| !tags.is_empty())
    {
        let tags = crate::domain::text::listing(tags, 3);
        remarks.push(format!("The further tags of {name} ({tags}) move as soon as it is built, also where the deploy fails after that."));
    }
    Ok(Facts {
        release: last.as_ref().map_or(1, |r| r.number + 1),
        configuration: config.resolved.hash(),
        workspace: workspace_scan.manifest,
        production: production_scan.manifest,
        workspace_root,
        production_root,
        compose,
        config,
        definitions,
        rules,
        last,
        services,
        containers,
        written,
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
        config.hash_is(&self.configuration)
    }

    /// The plan that follows from these facts.
    pub(in super::super) fn plan(&self, project: &Project, with: &BTreeSet<ServiceName>) -> Result<Plan, Failure> {
        // Names are matched in any case; what is unknown stays as it was typed, to be refused.
        let spelt = |typed: &ServiceName| {
            let known = self.services.iter().map(|s| s.name.as_str());
            let Match::Found(name) = find(typed.as_str(), known) else { return typed.clone() };
            ServiceName::new(name).unwrap_or_else(|_| typed.clone())
        };
        let with: BTreeSet<ServiceName> = with.iter().map(spelt).collect();
        let request = Request::Deploy { project: project.name.clone(), with: with.clone() };
        let facts = DeployFacts {
            project,
            workspace: &self.workspace,
            production: &self.production,
            owned: self.last.as_ref().map(|r| &r.manifest),
            services: &self.services,
            containers: &self.containers,
            configuration: &self.configuration,
            unset: &self.config.unset,
            written: &self.written,
            free: self.free,
        };
        let mut plan = plan_deploy(&facts, &request, &with)?;
        plan.warnings.extend(self.remarks.iter().cloned());
        Ok(plan)
    }
}

fn places(project: &Project, data: &Path, what: &str) -> Result<(ComposeSource, PathBuf, PathBuf), Failure> {
    let Source::Compose(compose) = &project.source else {
        return Err(Failure::new(
            what,
            "It is made of named containers, which have no files to deploy.",
            "Only a compose project can be deployed; restart this one with /docker_restart.",
        ));
    };
    let real = |path: &Option<PathBuf>, which: &str| {
        let next = format!("Correct \"{which}\" of {} in projects.json.", project.name);
        let Some(path) = path else { return Err(Failure::new(what, format!("It has no {which}."), next)) };
        path.canonicalize()
            .ok()
            .filter(|p| p.is_dir())
            .ok_or_else(|| Failure::new(what, format!("Its {which} {} is not there, or is no directory.", path.display()), next))
    };
    let (workspace, production) = (real(&project.workspace, "workspace")?, real(&project.production, "production")?);
    if workspace.starts_with(&production) || production.starts_with(&workspace) {
        return Err(Failure::new(
            what,
            format!("Workspace {} and production {} lie within each other.", workspace.display(), production.display()),
            "Give them directories apart in projects.json.",
        ));
    }
    if let Some(around) = [&workspace, &production].into_iter().find(|p| data.starts_with(p)) {
        return Err(Failure::new(
            what,
            format!("dockmaster's data directory {} lies within {}.", data.display(), around.display()),
            "Give it a directory of its own with --data.",
        ));
    }
    Ok((compose.clone(), workspace, production))
}

/// Compose would say of a workspace without its files that it cannot open them: here it is said what that means.
fn files_there(project: &Project, compose: &ComposeSource, workspace: &Path, what: &str) -> Result<(), Failure> {
    let correct = |which: &str| format!("Put the code there, or correct \"{which}\" of {} in projects.json.", project.name);
    if std::fs::read_dir(workspace).is_ok_and(|mut entries| entries.next().is_none()) {
        return Err(Failure::new(what, "The workspace is empty.", correct("workspace")));
    }
    match compose.files.iter().find(|file| !workspace.join(file).exists()) {
        Some(file) => Err(Failure::new(what, format!("The workspace has no {file}."), correct("compose.files"))),
        None => Ok(()),
    }
}

/// The sources of writable bind mounts below production, and who mounts them.
fn written<'a>(production: &Path, services: impl Iterator<Item = (&'a ServiceName, &'a Definition)>) -> Vec<(TreePath, ServiceName)> {
    let mut all: Vec<(TreePath, ServiceName)> = services
        .flat_map(|(name, definition)| definition.binds.iter().filter(|b| b.writable).map(move |b| (name, b)))
        .filter_map(|(name, bind)| {
            let source = bind.source.canonicalize().unwrap_or_else(|_| bind.source.clone());
            // A mount of a directory above production is one of all of production.
            let below = if production.starts_with(&source) { Path::new("") } else { source.strip_prefix(production).ok()? };
            Some((tree_path(below), name.clone()))
        })
        .collect();
    all.sort();
    all.dedup_by(|a, b| a.0 == b.0);
    all
}

fn tree_path(path: &Path) -> TreePath {
    TreePath::new(path.as_os_str().as_bytes())
}

fn rules(project: &Project, workspace: &Path, written: &[(TreePath, ServiceName)], what: &str) -> Result<Rules, Failure> {
    let ignore = workspace.join(".dockmasterignore");
    let text = match std::fs::read_to_string(&ignore) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(Failure::new(what, format!(".dockmasterignore cannot be read: {error}."), "Mend it and ask again.")),
    };
    Rules::new(&project.exclude, &text, written.iter().map(|(path, _)| path.clone()).collect()).map_err(|error| {
        Failure::new(what, format!("What to exclude cannot be understood: {error}."), "Mend \"exclude\" or .dockmasterignore.")
    })
}

async fn scans(tools: &Tools, workspace: &Path, production: &Path, rules: &Rules, what: &str) -> Result<(Scan, Scan), Failure> {
    let (workspace, production, rules, stopping) = (workspace.to_owned(), production.to_owned(), rules.clone(), tools.stopping.clone());
    let both = tokio::task::spawn_blocking(move || Ok((scan(&workspace, &rules, &stopping)?, scan(&production, &rules, &stopping)?)));
    let fail = |why: String| Failure::new(what, format!("Its files cannot be read: {why}."), "Mend that and ask again.");
    match both.await {
        Ok(Ok(scans)) => Ok(scans),
        Ok(Err(error)) => Err(scan_failure(&fail, &error)),
        Err(died) => Err(fail(died.to_string())),
    }
}

fn scan_failure(fail: &dyn Fn(String) -> Failure, error: &crate::files::scan::ScanError) -> Failure {
    fail(error.to_string())
}

#[expect(clippy::too_many_arguments, reason = "the facts of one service come from everywhere; a struct for one call says no more")]
async fn service(
    tools: &Tools,
    project: &Project,
    name: &ServiceName,
    definition: &Definition,
    asks: Vec<String>,
    config: &Config,
    workspace: &Manifest,
    production: &Path,
    containers: &[Container],
    what: &str,
) -> Result<ServiceFacts, Failure> {
    let build = match &definition.build {
        None => None,
        Some(section) => {
            let mut facts = build_facts(name, section, workspace, production, what)?;
            if let Some(container) = containers.iter().find(|c| c.service == *name) {
                let inputs = tools.history.build_inputs(project.name.clone(), container.image_id.clone()).await;
                facts.running = inputs.map_err(|e| history_failure(what, &e))?;
            }
            Some(facts)
        }
    };
    let image_id = tools.docker.image_id(&definition.image).await.map_err(|e| e.failure(what))?;
    let reads =
        definition.binds.iter().filter(|b| !b.writable).filter_map(|b| b.source.strip_prefix(production).ok()).map(tree_path).collect();
    Ok(ServiceFacts {
        name: name.clone(),
        config_hash: config.hashes.get(name).cloned().unwrap_or_default(),
        build,
        image_id,
        image: definition.image.clone(),
        depends_on: definition.depends_on.clone(),
        reads,
        asks,
    })
}

/// Where an image's inputs are, below the workspace, and a hash of them.
fn build_facts(
    name: &ServiceName,
    section: &BuildSection,
    workspace: &Manifest,
    production: &Path,
    what: &str,
) -> Result<BuildFacts, Failure> {
    let outside = |input: &str| {
        Failure::new(
            what,
            format!("The image of {name} is built from {input}, outside the workspace."),
            "A release holds everything that it is built from: move it into the workspace.",
        )
    };
    let below = |path: &Path, shown: &str| {
        let mut plain = PathBuf::new();
        for part in path.components() {
            match part {
                std::path::Component::ParentDir => {
                    plain.pop();
                }
                part => plain.push(part),
            }
        }
        plain.strip_prefix(production).map(tree_path).map_err(|_| outside(shown))
    };
    let context_path = Path::new(&section.context);
    let context = below(context_path, &section.context)?;
    let dockerfile = section.dockerfile.as_ref().map(|d| below(&context_path.join(d), d)).transpose()?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(section.hash.as_bytes());
    let mut feed = |bytes: &[u8]| {
        hasher.update(bytes);
    };
    workspace.below(&context).feed(&mut feed);
    if let Some(dockerfile) = &dockerfile {
        workspace.below(dockerfile).feed(&mut feed);
    }
    for more in &section.additional {
        // Images and addresses are named in the section, whose hash is in already; paths are inputs of their own.
        if more.starts_with('/') {
            workspace.below(&below(Path::new(more), more)?).feed(&mut feed);
        }
    }
    Ok(BuildFacts { inputs: hasher.finalize().to_hex().to_string(), context, dockerfile, running: None })
}

fn writable(production: &Path, what: &str) -> Result<(), Failure> {
    rustix::fs::access(production, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).map_err(|error| {
        Failure::new(
            what,
            format!("dockmaster may not write to production {}: {error}.", production.display()),
            "Give its user the right to write there, or mount it writable, and ask again.",
        )
    })
}

/// Bytes free for us where a path lives, or where its nearest parent that is there lives.
fn free_bytes(path: &Path) -> Option<u64> {
    let there = path.ancestors().find(|p| p.exists())?;
    let stat = rustix::fs::statvfs(there).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

fn remarks(scan: &Scan) -> Vec<String> {
    let mut remarks = Vec::new();
    if !scan.skipped.is_empty() {
        let names = crate::domain::text::listing(scan.skipped.iter().map(|(path, why)| format!("{path} ({why})")), 3);
        remarks.push(format!("Not copied, since they are no files: {names}."));
    }
    if !scan.changing.is_empty() {
        remarks.push(format!("Being written to right now: {}.", crate::domain::text::listing(&scan.changing, 3)));
    }
    if !scan.escaping.is_empty() {
        remarks.push(format!(
            "Links that point out of the workspace are copied as they are: {}.",
            crate::domain::text::listing(&scan.escaping, 3)
        ));
    }
    remarks
}

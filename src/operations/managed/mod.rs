//! Services that dockmaster makes itself: what they are made from, as it is read when they are made.

mod apart;
mod aside;
mod leftovers;
mod names;
mod output;
mod pull;
mod shutdown;
mod tidy;
mod up;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub(super) use apart::{is_contained, part};
pub(super) use aside::{awake, put_back, settle};
pub(super) use names::check_names;
pub(super) use pull::pull;
pub(super) use tidy::{plan_tidying, recover_tidy, tidy};
pub(super) use up::up;

use super::stops::stopped;
use super::tools::Tools;
use crate::domain::container::Container;
use crate::domain::failure::Failure;
use crate::domain::managed::{Definition, Managed, Runs};
use crate::domain::names::{Match, find};
use crate::domain::plan::{Made, ManagedFacts, ManagedService, Plan, plan_managed};
use crate::domain::project::{Project, ServiceName, Source};
use crate::domain::request::{Kind, ReleaseOptions, Request};
use crate::domain::untrusted::UntrustedText;
use crate::engine::create::SECRETS;
use crate::untrusted::{self, ReadError};

/// The longest file with an environment that is read.
const ENV_FILE_MAX: u64 = 1024 * 1024;

/// What a service is made from, all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Whole {
    /// Its environment, files and secrets included. It may hold secrets, so it is never shown or kept.
    pub(super) environment: BTreeMap<String, String>,
    /// The hash of its definition with that.
    pub(super) hash: String,
    /// Whether that is for a process of the host.
    pub(super) process: bool,
}

/// The services that a project has of this kind; none where it is another one.
pub(super) fn of(project: &Project) -> Option<&Managed> {
    if let Source::Services(managed) = &project.source { Some(managed) } else { None }
}

/// The plan for what is only done to such services: to start them, and to deploy them where they have no files.
///
/// # Errors
/// It must not or cannot be done.
pub(super) async fn plan(tools: &Tools, project: &Project, request: &Request) -> Result<Option<Plan>, Failure> {
    let Some(managed) = of(project) else { return Ok(None) };
    let has_files = project.workspace.is_some() && project.production.is_some();
    match request.kind() {
        Kind::Start => {}
        Kind::Deploy if !has_files => {}
        _ => return Ok(None),
    }
    let what = format!("{} could not be planned.", request.kind().verb());
    let request = spelt(request, managed);
    let containers = tools.containers_to_begin(project, &meant(managed, &request)).await.map_err(|e| e.failure(&*what))?;
    let mut services = BTreeMap::new();
    for (service, definition) in &managed.services {
        let process = is_process(tools, definition, &those(service, &containers), request.kind() == Kind::Deploy).await;
        // Of those to which nothing is done nobody has to know more, least of all an engine that is away.
        let elsewhere = request.service().is_some_and(|named| named != service);
        let image = definition.container().filter(|_| !process && !elsewhere).map(|container| container.image.clone());
        let image_id = match &image {
            Some(image) => tools.docker.image_id(image).await.map_err(|e| e.failure(&*what))?,
            None => None,
        };
        let made = match whole(&what, service, definition, process).await {
            Ok(whole) => Made::Managed(whole.hash, definition.instances),
            // Nothing is done to the others where one is named, so that what is wrong with them is in nobody's way.
            Err(_) if elsewhere => Made::Elsewhere,
            Err(failure) => return Err(failure),
        };
        services.insert(service.clone(), ManagedService { made, process, image, image_id });
    }
    let stopped = stopped(tools, &containers).await;
    let facts = ManagedFacts { project, containers: &containers, services: &services, stopped: &stopped, now: (tools.clock)() };
    let plan = plan_managed(&facts, &request)?;
    check_names(tools, project, &plan, &containers).await?;
    Ok(Some(plan))
}

/// The services that a request is for.
fn meant(managed: &Managed, request: &Request) -> BTreeSet<ServiceName> {
    request.service().map_or_else(|| managed.services.keys().cloned().collect(), |named| [named.clone()].into())
}

/// Names are matched in any case; what is unknown stays as it was typed, to be refused.
fn spelt(request: &Request, managed: &Managed) -> Request {
    let mut request = request.clone();
    let known = |typed: &ServiceName| match find(typed.as_str(), managed.services.keys().map(ServiceName::as_str)) {
        Match::Found(name) => ServiceName::new(name).unwrap_or_else(|_| typed.clone()),
        Match::Unknown(_) => typed.clone(),
    };
    if let Some(service) = request.service_mut() {
        *service = known(service);
    }
    if let Request::Deploy { options: ReleaseOptions { with, .. }, .. } = &mut request {
        *with = with.iter().map(known).collect();
    }
    request
}

/// The services that run something else than what is configured, and why that is not known of others.
pub(super) async fn pending(project: &Project, containers: &[Container]) -> (BTreeSet<ServiceName>, Option<String>) {
    let (mut pending, mut unknown) = (BTreeSet::new(), None);
    for (service, definition) in of(project).into_iter().flat_map(|managed| &managed.services) {
        let there = those(service, containers);
        // Of what runs as a process because there was no engine, that is no change.
        let made = match whole("", service, definition, there.iter().any(|c| c.is_process())).await {
            Ok(whole) => Made::Managed(whole.hash, definition.instances),
            Err(failure) => {
                unknown = Some(failure.why);
                continue;
            }
        };
        let all: Vec<&Container> = there.into_iter().filter(|c| made.counts(c)).collect();
        if !all.is_empty() && made.differs(&all).is_some() {
            pending.insert(service.clone());
        }
    }
    (pending, unknown)
}

/// A service's definition; that there is none is a mistake of ours, said rather than unwound.
fn definition<'a>(managed: &'a Managed, service: &ServiceName) -> Result<&'a Definition, Failure> {
    managed.services.get(service).ok_or_else(|| {
        Failure::new(format!("{service} was not brought up."), "It is no longer configured.", "Look at /docker_status and ask again.")
    })
}

/// Whether a service is to be a process now, of which this is there. What may be either is a container wherever there is an
/// engine; what began as a process while there was none stays one until the next deploy.
pub(super) async fn is_process(tools: &Tools, definition: &Definition, there: &[&Container], deploys: bool) -> bool {
    match &definition.runs {
        Runs::Container(_) => false,
        Runs::Process(_) => true,
        Runs::Either(..) if !deploys && there.iter().any(|c| c.is_process() && c.may_run()) => true,
        Runs::Either(..) => tools.docker.is_absent() || tools.docker.ping().await.is_err(),
    }
}

/// The containers and processes of a service.
pub(super) fn those<'a>(service: &ServiceName, all: &'a [Container]) -> Vec<&'a Container> {
    all.iter().filter(|c| c.service == *service).collect()
}

/// Reads what a definition names, as it is now, for a process of the host or for a container.
///
/// # Errors
/// A file cannot be read or understood; `what` says what that means.
pub(super) async fn whole(what: &str, service: &ServiceName, definition: &Definition, process: bool) -> Result<Whole, Failure> {
    whole_at(what, service, definition, process, &Path::to_owned).await
}

/// As [`whole`], with each file of the environment read from where `place` says that it is.
pub(super) async fn whole_at(
    what: &str,
    service: &ServiceName,
    definition: &Definition,
    process: bool,
    place: &(dyn Fn(&Path) -> PathBuf + Sync),
) -> Result<Whole, Failure> {
    let mut environment = BTreeMap::new();
    let places: Vec<PathBuf> = definition.env_file.iter().map(|file| place(file)).collect();
    let read = move || places.iter().map(|file| untrusted::read_text(file, ENV_FILE_MAX)).collect::<Vec<_>>();
    let mut texts = untrusted::off_runtime(read).await.map(Vec::into_iter);
    for file in &definition.env_file {
        let why = |why: String| {
            let shown = UntrustedText::path(&file);
            Failure::new(
                what,
                format!("The environment file {shown} of {service} {why}."),
                "Mend it, or correct \"env_file\", and ask again.",
            )
        };
        let text = match &mut texts {
            Ok(texts) => texts.next().unwrap_or(Err(ReadError::TimedOut)).map_err(|e| why(e.to_string()))?,
            Err(error) => return Err(why(error.to_string())),
        };
        for (number, line) in text.lines().enumerate() {
            if let Some((name, value)) = variable(line).map_err(|wrong| why(format!("{wrong} (line {})", number + 1)))? {
                environment.insert(name.to_owned(), value.to_owned());
            }
        }
    }
    for (name, path) in &definition.secrets {
        // In a container it is mounted; a process reads it where it is.
        let place = if process { path.to_string_lossy().into_owned() } else { format!("{SECRETS}/{name}") };
        environment.insert(format!("{}_FILE", name.to_uppercase().replace(['-', '.'], "_")), place);
    }
    environment.extend(definition.environment.iter().map(|(name, value)| (name.clone(), value.clone())));
    let hash = definition.hash(&environment);
    // The same as the other kind is something else.
    let hash = if process { format!("{hash}-process") } else { hash };
    Ok(Whole { environment, hash, process })
}

/// A line as `docker run --env-file` reads it: `NAME=value`, the value as it stands, without quotes or substitution.
fn variable(line: &str) -> Result<Option<(&str, &str)>, &'static str> {
    let line = line.trim_start().trim_end_matches('\r');
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    match line.split_once('=') {
        Some((name, _)) if name.is_empty() || name.contains(char::is_whitespace) => Err("has a name with spaces or without letters"),
        Some((_, value)) if value.contains('\0') => Err("has a value with a zero byte"),
        Some((name, value)) => Ok(Some((name, value))),
        None => Err("has a line without “=”"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::managed::tests::definition;

    #[tokio::test]
    async fn the_environment_is_files_in_order_then_secrets_then_what_is_configured() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            std::fs::write(directory.path().join(name), text).unwrap();
            directory.path().join(name)
        };
        let mut service = definition("example/web");
        service.env_file = vec![file("one", "# words\n\nMODE=one\nQUOTED=\"as it is\"\r\nEMPTY=\n"), file("two", "MODE=two\nA=b=c\n")];
        service.secrets.insert("db-password".into(), "/etc/secret".into());
        service.environment.insert("A".into(), "configured".into());
        let name = ServiceName::new("web").unwrap();
        let first = whole("It failed.", &name, &service, false).await.unwrap();
        let shown: Vec<String> = first.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(shown, ["A=configured", "DB_PASSWORD_FILE=/run/secrets/db-password", "EMPTY=", "MODE=two", "QUOTED=\"as it is\""]);
        let process = whole("It failed.", &name, &service, true).await.unwrap();
        assert_eq!(process.environment["DB_PASSWORD_FILE"], "/etc/secret", "a process reads it where it is");
        file("two", "MODE=three\n");
        assert_ne!(whole("It failed.", &name, &service, false).await.unwrap().hash, first.hash, "a changed file is a changed definition");
        file("two", "FINE=1\nsecret words\n");
        let wrong = whole("It failed.", &name, &service, false).await.unwrap_err();
        assert!(wrong.why.ends_with("two` of web has a line without “=” (line 2).") && !wrong.why.contains("secret"), "{wrong}");
    }
}

//! What was typed, as the names of what there is.

use std::collections::BTreeSet;

use super::{Exit, Stop, for_terminal};
use crate::domain::names::{Match, find};
use crate::domain::project::{ProjectName, ServiceName, Strategy};
use crate::domain::request::{Kind, overwritten};
use crate::domain::text::{Text, listing};
use crate::domain::words;
use crate::http::dto::{Ask, Projects};

/// How many project names are spelt out.
const NAMES_SHOWN: usize = 12;

/// What follows a command.
#[derive(Debug, Clone, Default)]
pub struct Typed {
    /// `shop` or `shop/web`.
    pub target: Option<String>,
    /// The order of a restart.
    pub strategy: Option<Strategy>,
    /// Whether what depends on something that is down starts all the same.
    pub force: bool,
    /// The release of a rollback.
    pub release: Option<i64>,
    /// Services that keep data and take part all the same.
    pub with: Vec<String>,
    /// What production has changed and is replaced all the same.
    pub overwrite: Vec<String>,
    /// Volumes that a service gets new and empty.
    pub new_volumes: Vec<String>,
}

fn wrong(text: &Text) -> Stop {
    Stop::Said(Exit::Usage, for_terminal(&text.to_plain()))
}

impl Projects {
    fn names(&self) -> Vec<String> {
        self.projects.iter().filter(|p| p.enabled).map(|p| p.name.to_string()).collect()
    }

    /// The project of that name, in any case; never guessed.
    pub(super) fn named(&self, typed: &str) -> Result<ProjectName, Stop> {
        let enabled = || self.projects.iter().filter(|p| p.enabled);
        let near = match find(typed, enabled().map(|p| p.name.as_str())) {
            Match::Found(name) => match enabled().find(|p| p.name.as_str() == name) {
                Some(project) => return Ok(project.name.clone()),
                None => Vec::new(),
            },
            Match::Unknown(near) => near.into_iter().map(str::to_owned).collect(),
        };
        Err(match self.projects.iter().find(|p| !p.enabled && p.name.as_str().eq_ignore_ascii_case(typed)) {
            Some(disabled) => wrong(&words::disabled(disabled.name.as_str())),
            None => wrong(&words::unknown_project(typed, &near, &self.names(), None)),
        })
    }

    /// The project that is meant, and what is left of the name after a slash.
    pub(super) fn target(&self, typed: Option<&str>, command: &str) -> Result<(ProjectName, Option<ServiceName>), Stop> {
        let Some(typed) = typed else { return Ok((self.implied(command)?, None)) };
        let (project, service) = typed.split_once('/').map_or((typed, None), |(project, service)| (project, Some(service)));
        let project = if project.is_empty() { self.implied(command)? } else { self.named(project)? };
        Ok((project, service.map(|typed| ServiceName::new(typed).map_err(|_| wrong(&words::wrong_service(typed)))).transpose()?))
    }

    fn implied(&self, command: &str) -> Result<ProjectName, Stop> {
        let all = self.names();
        self.default.clone().ok_or_else(|| {
            let said = match all.first() {
                None => "No project is enabled in projects.json.".to_owned(),
                Some(first) => {
                    format!("Which project? There is: {}. Name one: dockmaster {command} {first}", listing(&all, NAMES_SHOWN))
                }
            };
            Stop::Said(Exit::Usage, said)
        })
    }

    /// What is asked for, of which project.
    pub(super) fn ask(&self, kind: Kind, typed: &Typed) -> Result<(ProjectName, Ask), Stop> {
        let number = typed.target.as_deref().and_then(|p| p.parse::<i64>().ok()).filter(|n| *n >= 0);
        let (target, release) = match (kind, typed.release, number, typed.target.as_deref()) {
            // As in the chat: `rollback 3` means the third release, unless a project is called that.
            (Kind::Rollback, None, Some(number), Some(typed)) if self.named(typed).is_err() => (None, Some(number)),
            (_, release, _, target) => (target, release),
        };
        let (project, service) = match target.and_then(|typed| ProjectName::new(typed).ok()) {
            // What is left over may be of a project that is no longer configured.
            Some(unknown) if kind == Kind::Tidy && self.named(unknown.as_str()).is_err() => (unknown, None),
            _ => self.target(target, kind.word())?,
        };
        if let Some(service) = service.as_ref().filter(|_| kind.is_release() || kind == Kind::Tidy) {
            let said = format!("A {} is of a whole project, not of {service} alone: dockmaster {} {project}", kind.word(), kind.word());
            return Err(Stop::Said(Exit::Usage, said));
        }
        let named = typed.with.iter().map(|name| name.trim()).filter(|name| !name.is_empty());
        let with =
            named.map(|name| ServiceName::new(name).map_err(|_| wrong(&words::wrong_service(name)))).collect::<Result<BTreeSet<_>, _>>()?;
        let paths = typed.overwrite.iter().filter(|path| !path.trim().is_empty());
        let overwrite = paths.map(|path| overwritten(path).ok_or_else(|| wrong(&words::wrong_path(path)))).collect::<Result<_, _>>()?;
        let new_volumes = typed.new_volumes.iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
        let (strategy, force) = (typed.strategy, typed.force);
        Ok((project, Ask { service, strategy, force, release, with, overwrite, new_volumes, ..Ask::of(kind) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::manifest::TreePath;
    use crate::http::dto::ProjectLine;

    fn projects(names: &[&str], default: Option<&str>) -> Projects {
        let line = |name: &&str| ProjectLine {
            name: ProjectName::new(name.trim_start_matches('-')).unwrap(),
            description: None,
            enabled: !name.starts_with('-'),
        };
        Projects {
            default: default.map(|d| ProjectName::new(d).unwrap()),
            projects: names.iter().map(line).collect(),
            confirm_within: 60_000,
        }
    }

    fn said(stop: Stop) -> String {
        match stop {
            Stop::Said(Exit::Usage, said) => said,
            other => panic!("{other:?}"),
        }
    }

    fn typed(target: &str) -> Typed {
        Typed { target: Some(target.to_owned()), ..Typed::default() }
    }

    #[test]
    fn names_are_found_in_any_case_and_never_guessed() {
        let all = projects(&["shop", "edge", "-old"], None);
        let (project, ask) = all.ask(Kind::Restart, &typed("SHOP/web")).unwrap();
        assert_eq!((project.as_str(), ask.service.unwrap().as_str()), ("shop", "web"));
        let which = said(all.ask(Kind::Stop, &Typed::default()).unwrap_err());
        assert_eq!(which, "Which project? There is: shop, edge. Name one: dockmaster stop shop");
        assert!(said(all.ask(Kind::Stop, &typed("shpo")).unwrap_err()).contains("shop"));
        assert!(said(all.ask(Kind::Stop, &typed("old")).unwrap_err()).contains("disabled"));
        assert!(said(all.ask(Kind::Deploy, &typed("shop/web")).unwrap_err()).contains("whole project"));
        assert!(said(all.ask(Kind::Stop, &typed("shop/a:b")).unwrap_err()).contains("a:b"));
        assert!(said(projects(&["-old"], None).ask(Kind::Stop, &Typed::default()).unwrap_err()).contains("No project is enabled"));
    }

    #[test]
    fn a_number_is_a_release_unless_a_project_is_called_that() {
        let (project, ask) = projects(&["shop"], Some("shop")).ask(Kind::Rollback, &typed("3")).unwrap();
        assert_eq!((project.as_str(), ask.release), ("shop", Some(3)));
        let (project, ask) = projects(&["shop", "3"], Some("shop")).ask(Kind::Rollback, &typed("3")).unwrap();
        assert_eq!((project.as_str(), ask.release), ("3", None));
    }

    #[test]
    fn paths_to_overwrite_are_asked_for_as_the_plan_shows_them() {
        let asked = |path: &str| {
            let typed = Typed { overwrite: vec![path.to_owned(), "app.conf".to_owned()], ..typed("shop") };
            projects(&["shop"], None).ask(Kind::Deploy, &typed)
        };
        assert_eq!(asked("./conf.d/").unwrap().1.overwrite, ["app.conf", "conf.d"].map(TreePath::from).into());
        assert!(said(asked("/etc/passwd").unwrap_err()).starts_with("/etc/passwd is no path below the project's directory"));
    }
}

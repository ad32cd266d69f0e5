//! What somebody asks for that would change the world, after parsing and before planning.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::access::Role;
use super::manifest::TreePath;
use super::project::{ProjectName, ServiceName, Strategy};

/// A project, or one service of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The project.
    pub project: ProjectName,
    /// The one service that is meant; none means all that may be touched unasked.
    pub service: Option<ServiceName>,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.service {
            Some(service) => write!(f, "{}/{service}", self.project),
            None => write!(f, "{}", self.project),
        }
    }
}

/// What a deploy or a rollback may do because somebody named it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseOptions {
    /// Stateful services that take part.
    pub with: BTreeSet<ServiceName>,
    /// What production has changed and is replaced all the same: files, and directories with all that is below them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub overwrite: BTreeSet<TreePath>,
    /// Volumes that a service gets new and empty in the place of what it has: names as the compose file has them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub new_volumes: BTreeSet<String>,
    /// Also where the image that a service runs is gone, so that it could not be rolled back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

/// An operation that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "lowercase")]
pub enum Request {
    /// Start what is stopped.
    Start {
        /// What.
        #[serde(flatten)]
        target: Target,
        /// Also where something that it depends on is down.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
    },
    /// Stop what runs (`compose stop`, never `down`).
    Stop(Target),
    /// Restart.
    Restart {
        /// What.
        target: Target,
        /// In which order; none means the project's own strategy.
        strategy: Option<Strategy>,
        /// Also where something that it depends on is down.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
    },
    /// Bring the workspace into production.
    Deploy {
        /// Which project.
        project: ProjectName,
        /// What it may do beyond what every one does.
        #[serde(flatten)]
        options: ReleaseOptions,
    },
    /// Bring an earlier release back into production.
    Rollback {
        /// Which project.
        project: ProjectName,
        /// Which release; none means the one before the current one.
        release: Option<i64>,
        /// What it may do beyond what every one does.
        #[serde(flatten)]
        options: ReleaseOptions,
    },
    /// Remove the containers of services that are no longer configured.
    Tidy {
        /// Which project; it may be no longer configured itself.
        project: ProjectName,
    },
}

/// The kinds of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Start.
    Start,
    /// Stop.
    Stop,
    /// Restart.
    Restart,
    /// Deploy.
    Deploy,
    /// Rollback.
    Rollback,
    /// Removal of what is left over.
    Tidy,
}

impl Kind {
    /// The verb as a button and a heading show it.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Start => "Start",
            Self::Stop => "Stop",
            Self::Restart => "Restart",
            Self::Deploy => "Deploy",
            Self::Rollback => "Roll back",
            Self::Tidy => "Tidy up",
        }
    }

    /// The word that history keeps.
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Deploy => "deploy",
            Self::Rollback => "rollback",
            Self::Tidy => "tidy",
        }
    }

    /// Whether it brings a release into production.
    pub fn is_release(self) -> bool {
        matches!(self, Self::Deploy | Self::Rollback)
    }

    /// The role that it takes.
    pub fn needs(self) -> Role {
        match self {
            Self::Start | Self::Stop | Self::Restart => Role::Operator,
            Self::Deploy | Self::Rollback | Self::Tidy => Role::Admin,
        }
    }

    /// The command that asks for it.
    pub fn command(self) -> String {
        format!("/docker_{}", self.word())
    }
}

/// A path that somebody typed after `overwrite`; none where it names nothing below a project's root.
pub fn overwritten(typed: &str) -> Option<TreePath> {
    let path = typed.trim().trim_start_matches("./").trim_end_matches('/');
    let is_plain = !path.is_empty() && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    is_plain.then(|| TreePath::from(path.to_owned()))
}

impl Request {
    /// What kind of operation it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Start { .. } => Kind::Start,
            Self::Stop(_) => Kind::Stop,
            Self::Restart { .. } => Kind::Restart,
            Self::Deploy { .. } => Kind::Deploy,
            Self::Rollback { .. } => Kind::Rollback,
            Self::Tidy { .. } => Kind::Tidy,
        }
    }

    /// The project that it is about.
    pub fn project(&self) -> &ProjectName {
        match self {
            Self::Start { target, .. } | Self::Stop(target) | Self::Restart { target, .. } => &target.project,
            Self::Deploy { project, .. } | Self::Rollback { project, .. } | Self::Tidy { project } => project,
        }
    }

    /// The one service that it names, where it names one.
    pub fn service(&self) -> Option<&ServiceName> {
        match self {
            Self::Start { target, .. } | Self::Stop(target) | Self::Restart { target, .. } => target.service.as_ref(),
            Self::Deploy { .. } | Self::Rollback { .. } | Self::Tidy { .. } => None,
        }
    }

    /// What it may do because somebody named it, of a deploy or a rollback.
    pub fn release_options(&self) -> ReleaseOptions {
        match self {
            Self::Deploy { options, .. } | Self::Rollback { options, .. } => options.clone(),
            _ => ReleaseOptions::default(),
        }
    }

    /// Whether it is to be done although something that takes part depends on what is down, or could not be rolled back.
    pub fn is_forced(&self) -> bool {
        matches!(
            self,
            Self::Start { force: true, .. }
                | Self::Restart { force: true, .. }
                | Self::Deploy { options: ReleaseOptions { force: true, .. }, .. }
                | Self::Rollback { options: ReleaseOptions { force: true, .. }, .. }
        )
    }

    /// Sets the one service that it names, where it names one.
    pub fn service_mut(&mut self) -> Option<&mut ServiceName> {
        match self {
            Self::Start { target, .. } | Self::Stop(target) | Self::Restart { target, .. } => target.service.as_mut(),
            Self::Deploy { .. } | Self::Rollback { .. } | Self::Tidy { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_as_they_are_typed() {
        let of = |typed: &str| overwritten(typed).map(|path| path.written());
        assert_eq!(of(" ./conf.d/ ").as_deref(), Some("conf.d"));
        assert_eq!(of("a b/c\\x0ad").as_deref(), Some("a b/c\\x0ad"), "as a plan shows it");
        for bad in ["", "/", "/etc/passwd", "../x", "a/../b", "a//b", "."] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_an_older_journal_holds_is_read() {
        let of = |text: &str| serde_json::from_str::<Request>(text).unwrap();
        let target = Target { project: ProjectName::new("shop").unwrap(), service: None };
        let start = r#"{"operation":"start","project":"shop","service":null}"#;
        assert_eq!(of(start), Request::Start { target: target.clone(), force: false });
        assert_eq!(serde_json::to_string(&of(start)).unwrap(), start, "and written as it was");
        let restart = r#"{"operation":"restart","target":{"project":"shop","service":null},"strategy":null}"#;
        assert_eq!(of(restart), Request::Restart { target: target.clone(), strategy: None, force: false });
        assert_eq!(serde_json::to_string(&of(restart)).unwrap(), restart);
        let deploy = r#"{"operation":"deploy","project":"shop","with":[]}"#;
        assert!(!of(deploy).is_forced());
        assert_eq!(serde_json::to_string(&of(deploy)).unwrap(), deploy);
        let forced = Request::Start { target, force: true };
        assert_eq!(of(&serde_json::to_string(&forced).unwrap()), forced);
    }
}

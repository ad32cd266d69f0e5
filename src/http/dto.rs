//! What goes over the wire besides the domain's own types.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::impact::Impact;
use crate::domain::manifest::TreePath;
use crate::domain::project::{ProjectName, ServiceName, Strategy};
use crate::domain::request::{Kind, ReleaseOptions, Request, Target};
use crate::domain::snapshot::SnapshotLine;
use crate::domain::volumes::ProjectVolumes;
use crate::operations::logs::{LINES_DEFAULT, LINES_MAX, LogLine, LogQuery};

/// The projects that there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Projects {
    /// The one that is meant where none is named.
    pub default: Option<ProjectName>,
    /// All of them, by name.
    pub projects: Vec<ProjectLine>,
    /// How long somebody who is asked has to confirm, in milliseconds.
    pub confirm_within: u64,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectLine {
    /// Its name.
    pub name: ProjectName,
    /// A line for people.
    pub description: Option<String>,
    /// Whether anything can be done with it.
    pub enabled: bool,
}

/// Which lines of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogAsk {
    /// Of which service; none means the primary one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// How many of the last; 50 unless told, 1,000 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<usize>,
    /// Only those that contain this text, in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grep: Option<String>,
    /// Only those of so many last seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// The lines that this operation has kept of a service that failed in it, instead of the log as it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op: Option<i64>,
    /// Whether to go on with what is written from now on, as server-sent events.
    #[serde(default)]
    pub follow: bool,
}

impl LogAsk {
    /// The same for the desk; none where that many lines cannot be had.
    pub(super) fn query(self, project: ProjectName) -> Option<LogQuery> {
        let lines = self.lines.unwrap_or(LINES_DEFAULT);
        let since = self.since.map(Duration::from_secs);
        let query = LogQuery { project, service: self.service, lines, grep: self.grep, since, operation: self.op };
        (1..=LINES_MAX).contains(&lines).then_some(query)
    }
}

/// The last lines of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLines {
    /// Whose.
    pub service: ServiceName,
    /// Oldest first.
    pub lines: Vec<LogLine>,
    /// Whether older ones were left out of a search because there are too many.
    pub cut: bool,
    /// Why the engine cannot read older ones, where it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
}

/// An operation that is asked for: planned, or with the digest of its plan begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// Which.
    pub operation: Kind,
    /// The one service that is meant, of a start, stop or restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// In which order, of a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// Whether it is to be done although something that takes part depends on what is down, of a start or restart; or although it
    /// could not be rolled back, of a deploy or rollback.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    /// Which release, of a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<i64>,
    /// The services that keep data and take part all the same, of a deploy or a rollback.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub with: BTreeSet<ServiceName>,
    /// What production has changed and is replaced all the same, of a deploy or a rollback: paths as the plan names them, and
    /// directories with all that is below them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub overwrite: BTreeSet<TreePath>,
    /// Volumes that a service gets new and empty in the place of what it has, of a deploy or a rollback.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub new_volumes: BTreeSet<String>,
    /// The digest of the plan that is confirmed; without it the plan is answered and nothing is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

impl Ask {
    /// Asks for an operation of a kind.
    pub fn of(operation: Kind) -> Self {
        let (with, overwrite, new_volumes) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        Self { operation, service: None, strategy: None, force: false, release: None, with, overwrite, new_volumes, digest: None }
    }

    /// The same for the desk.
    ///
    /// # Errors
    /// The name of what does not belong to this kind of operation.
    pub(super) fn request(&self, project: ProjectName) -> Result<Request, &'static str> {
        let target = |project| Target { project, service: self.service.clone() };
        let lifecycle = matches!(self.operation, Kind::Start | Kind::Stop | Kind::Restart);
        let stray = [
            ("service", self.service.is_some() && !lifecycle),
            ("strategy", self.strategy.is_some() && self.operation != Kind::Restart),
            ("force", self.force && !matches!(self.operation, Kind::Start | Kind::Restart | Kind::Deploy | Kind::Rollback)),
            ("release", self.release.is_some() && self.operation != Kind::Rollback),
            ("with", !self.with.is_empty() && !self.operation.is_release()),
            ("overwrite", !self.overwrite.is_empty() && !self.operation.is_release()),
            ("new_volumes", !self.new_volumes.is_empty() && !self.operation.is_release()),
        ];
        if let Some((field, _)) = stray.into_iter().find(|(_, stray)| *stray) {
            return Err(field);
        }
        Ok(match self.operation {
            Kind::Start => Request::Start { target: target(project), force: self.force },
            Kind::Stop => Request::Stop(target(project)),
            Kind::Restart => Request::Restart { target: target(project), strategy: self.strategy, force: self.force },
            Kind::Deploy => Request::Deploy { project, options: self.options() },
            Kind::Rollback => Request::Rollback { project, release: self.release, options: self.options() },
            Kind::Tidy => Request::Tidy { project },
        })
    }

    fn options(&self) -> ReleaseOptions {
        let (with, overwrite, new_volumes) = (self.with.clone(), self.overwrite.clone(), self.new_volumes.clone());
        ReleaseOptions { with, overwrite, new_volumes, force: self.force }
    }
}

/// An operation that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// Its number.
    pub id: i64,
}

/// Asks dockmaster to let go of its data directory, which is moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepAside {
    /// Where to.
    pub to: PathBuf,
    /// The number of the device that this directory is on: to somebody else the path may be another one.
    pub device: u64,
    /// The number that it has there.
    pub inode: u64,
}

/// Where the data of all projects is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AllVolumes {
    /// Of each project.
    pub projects: Vec<ProjectVolumes>,
    /// The projects of which it could not be found out.
    pub unknown: Vec<Unseen>,
}

/// A project that could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unseen {
    /// Which.
    pub project: ProjectName,
    /// Why, for people.
    pub problem: String,
}

/// The kept versions of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// Newest first.
    pub versions: Vec<SnapshotLine>,
    /// The one in force.
    pub in_force: Option<i64>,
}

/// How a difference is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DifferenceAsk {
    /// Whether the values that may be secret are shown.
    #[serde(default)]
    pub values: bool,
}

/// What is different in the configuration in force from a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What that means.
    pub impact: Impact,
    /// The lines, as `diff -u` shows them.
    pub lines: Vec<String>,
}

/// Asks for the configuration in force to be kept as a version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// What for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A version that was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its number.
    pub id: i64,
}

/// Going back to a version of the configuration: planned, or with the digest of its plan done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoBack {
    /// The digest of the plan that is confirmed; without it the plan is answered and nothing is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_is_not_forced() {
        let ask = |text: &str| serde_json::from_str::<Ask>(text).unwrap().request(ProjectName::new("shop").unwrap());
        assert!(ask(r#"{"operation":"start","force":true}"#).unwrap().is_forced());
        assert!(ask(r#"{"operation":"restart","force":true}"#).unwrap().is_forced());
        assert!(ask(r#"{"operation":"deploy","force":true}"#).unwrap().is_forced());
        assert!(ask(r#"{"operation":"rollback","force":true}"#).unwrap().is_forced());
        assert!(!ask(r#"{"operation":"restart"}"#).unwrap().is_forced());
        for other in ["stop", "tidy"] {
            assert_eq!(ask(&format!(r#"{{"operation":"{other}","force":true}}"#)), Err("force"));
        }
        assert_eq!(ask(r#"{"operation":"tidy","with":["web"]}"#), Err("with"));
        assert_eq!(ask(r#"{"operation":"start","overwrite":["a"]}"#), Err("overwrite"));
        let Ok(Request::Deploy { options, .. }) = ask(r#"{"operation":"deploy","overwrite":["a/b"]}"#) else { panic!("a deploy") };
        assert_eq!(options.overwrite, [TreePath::from("a/b")].into());
        assert_eq!(ask(r#"{"operation":"tidy"}"#).unwrap().kind(), Kind::Tidy);
    }
}

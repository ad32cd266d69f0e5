//! What an operation will do, before anybody confirms.

use super::{flat, orphan_lines, trimmed, warning};
use crate::domain::manifest::{Changes, TreePath};
use crate::domain::plan::{Action, Plan, ServicePlan, Step};
use crate::domain::request::Kind;
use crate::domain::text::{Text, capital, count, listing};
use crate::domain::untrusted::{SHOWN, UntrustedText};

/// How many paths of a kind are named.
pub(super) const PATHS_SHOWN: usize = 5;
/// How many services get a line of their own.
const SERVICES_SHOWN: usize = 20;
/// How many steps are listed.
const STEPS_SHOWN: usize = 12;

/// The plan, with its reasons.
pub fn plan(plan: &Plan) -> Text {
    let mut text = plan_heading(plan).line();
    if plan.kind() == Kind::Tidy {
        return tidy_lines(text, plan);
    }
    if let Some(files) = &plan.files {
        text = preserved(files_lines(text, files, &plan.not_copied), plan);
    }
    let of_our_making = plan.services.iter().any(|s| s.made_from.is_some());
    text = if plan.kind().is_release() || of_our_making { deploy_services(text, plan) } else { lifecycle_services(text, plan) };
    text = steps(text, plan);
    let ails = plan.services.iter().filter_map(|s| s.ails.as_ref().map(|ails| format!("{} is {ails}.", s.service)));
    let mut warnings: Vec<String> = ails.take(SERVICES_SHOWN).chain(plan.warnings.iter().cloned()).collect();
    if plan.affected().any(|s| s.stateful && s.action == Action::Recreate) {
        warnings.push("What is in volumes stays, and what a new version writes there is not undone.".to_owned());
    }
    warnings.extend(unmarked(plan));
    if !warnings.is_empty() || !plan.unset.is_empty() {
        text = text.line();
    }
    trimmed(unset_lines(warnings.into_iter().fold(text, warning), &plan.unset))
}

/// What is said where projects.json leaves open which services keep data.
fn unmarked(plan: &Plan) -> Option<String> {
    let quoted: Vec<String> = plan.unmarked.iter().map(|service| format!("\"{service}\"")).collect();
    let names = listing(&plan.unmarked, SERVICES_SHOWN);
    let line = UntrustedText::new(format!("\"stateful\": [{}]", quoted.join(", ")));
    (!quoted.is_empty())
        .then(|| format!("No service is named as stateful, and {names} may keep data. To protect them, add to projects.json: {line}"))
}

/// What a plan warns of that the configuration or the files should say, a sentence each.
pub fn plan_warnings(plan: &Plan) -> Vec<String> {
    let names = plan.unset.iter().map(|name| name.line(SHOWN)).collect::<Vec<_>>().join(", ");
    let unset = (!names.is_empty()).then(|| format!("Nothing sets these variables of the compose file, so they are empty: {names}"));
    unmarked(plan).into_iter().chain(unset).collect()
}

/// Variables that nothing sets, as the lines that would set them.
fn unset_lines(text: Text, names: &[UntrustedText]) -> Text {
    if names.is_empty() {
        return text;
    }
    let text = warning(text, "Nothing sets these variables of the compose file, so they are empty. To set them, add to production's .env:");
    names.iter().fold(text, |text, name| text.code(format!("{}=", name.line(SHOWN))).line())
}

/// What is left over, all of which is removed.
fn tidy_lines(text: Text, plan: &Plan) -> Text {
    let mut text = text.line();
    if !plan.orphans().is_empty() {
        text = orphan_lines(text.plain("Stopped and removed:\n"), plan.orphans(), true);
    }
    for step in &plan.steps {
        if let Step::Tidy { network: Some(network), .. } = step {
            text = text.code(network).plain(", the project's own network, which no service is in any more, is removed\n");
        }
    }
    text.plain("Volumes stay, with all that is in them.")
}

/// What it is, without its details.
pub fn plan_heading(plan: &Plan) -> Text {
    let release = match (plan.kind(), plan.release) {
        (Kind::Deploy, Some(number)) => format!(" as release {number}"),
        (Kind::Rollback, Some(number)) => format!(" to release {number}"),
        _ => String::new(),
    };
    Text::new().bold(format!("{} {}{release}", plan.kind().verb(), plan.target()))
}

/// There is nothing to do.
pub fn nothing_to_do(plan: &Plan) -> Text {
    let target = plan.target();
    let why = match plan.kind() {
        Kind::Start => format!("Nothing to start: {target} runs already."),
        Kind::Stop => format!("Nothing to stop: {target} does not run."),
        Kind::Restart => format!("Nothing to restart in {target}."),
        Kind::Deploy if !plan.has_release() => format!("Nothing to deploy: {target} runs as it is configured."),
        Kind::Deploy => format!("Nothing to deploy: production of {target} is what the workspace holds."),
        Kind::Rollback => format!("Nothing to roll back: {target} runs release {} already.", plan.release.unwrap_or(0)),
        Kind::Tidy => format!("Nothing to tidy up: nothing is left over from {target}."),
    };
    let mut text = Text::new().plain(why).line();
    text = stays(preserved(text, plan), plan);
    for sentence in &plan.warnings {
        text = warning(text, sentence);
    }
    trimmed(text)
}

fn files_lines(text: Text, files: &Changes, not_copied: &[(TreePath, String)]) -> Text {
    let mut text = text.line();
    if files.is_empty() {
        text = text.plain("Files: no change\n");
    }
    let kinds = [("New", &files.added), ("Changed", &files.changed), ("Deleted", &files.deleted)];
    for (word, paths) in kinds.iter().filter(|(_, paths)| !paths.is_empty()) {
        text = text.plain(format!("{word}, {}: {}\n", count(paths.len(), "file"), listing(paths.iter(), PATHS_SHOWN)));
    }
    if !files.kept.is_empty() {
        let (n, names) = (count(files.kept.len(), "file"), listing(&files.kept, PATHS_SHOWN));
        text = text.plain(format!("Only in production and kept, {n}: {names}\n"));
    }
    if !not_copied.is_empty() {
        let each = not_copied.iter().map(|(path, why)| format!("{path} ({})", flat(why)));
        text = text.plain(format!("Not copied: {}\n", listing(each, PATHS_SHOWN)));
    }
    text
}

/// What is left as production has it, and how somebody replaces it.
fn preserved(text: Text, plan: &Plan) -> Text {
    let Some((first, _)) = plan.preserved.first() else { return text };
    let each = plan.preserved.iter().map(|(path, how)| format!("{path} ({})", flat(how)));
    let (which, replaces) = match &plan.preserved[..] {
        [_] if first.bytes().iter().any(u8::is_ascii_whitespace) => (format!("\"{}\"", first.written()), "replaces it"),
        [_] => (first.written(), "replaces it"),
        _ => ("PATH".to_owned(), "replaces one of them"),
    };
    let text = text.plain(format!("Kept as production has it: {}. ", listing(each, PATHS_SHOWN)));
    text.code(UntrustedText::new(format!("overwrite={which}"))).plain(format!(" {replaces}.\n"))
}

fn deploy_services(text: Text, plan: &Plan) -> Text {
    let mut text = text.line();
    let affected: Vec<&ServicePlan> = plan.affected().collect();
    for service in affected.iter().take(SERVICES_SHOWN) {
        let action = if service.build { format!("build, {}", service.action.word()) } else { service.action.word().to_owned() };
        text = text.code(service.service.as_str()).plain(format!(": {action}"));
        if !service.reasons.is_empty() {
            text = text.plain(format!(" ({})", flat(service.reasons.join("; "))));
        }
        text = text.line();
    }
    if let Some(more) = affected.len().checked_sub(SERVICES_SHOWN).filter(|n| *n > 0) {
        text = text.plain(format!("and {more} more\n"));
    }
    if affected.is_empty() {
        text = text.plain("No service is touched.\n");
    }
    stays(text, plan)
}

fn lifecycle_services(text: Text, plan: &Plan) -> Text {
    let mut text = text.line();
    for action in [Action::Create, Action::Scale, Action::Start, Action::Stop, Action::Restart, Action::Recreate] {
        let (along, meant): (Vec<&ServicePlan>, Vec<&ServicePlan>) =
            plan.services.iter().filter(|s| s.action == action).partition(|s| !s.reasons.is_empty());
        if !meant.is_empty() {
            let names = listing(meant.iter().map(|s| &s.service), SERVICES_SHOWN);
            text = text.plain(format!("{}: {names}\n", capital(action.word())));
        }
        for service in along.iter().take(SERVICES_SHOWN) {
            let line = format!(": {} ({})\n", action.word(), flat(service.reasons.join("; ")));
            text = text.code(service.service.as_str()).plain(line);
        }
        if let Some(more) = along.len().checked_sub(SERVICES_SHOWN).filter(|n| *n > 0) {
            text = text.plain(format!("and {more} more: {}\n", action.word()));
        }
    }
    stays(text, plan)
}

/// The services that stay: those with a reason one by one, the others in a row.
fn stays(text: Text, plan: &Plan) -> Text {
    let staying: Vec<&ServicePlan> = plan.services.iter().filter(|s| s.action == Action::Stay).collect();
    let (with, without): (Vec<&ServicePlan>, Vec<&ServicePlan>) = staying.into_iter().partition(|s| !s.reasons.is_empty());
    let mut text = text;
    for service in with.iter().take(SERVICES_SHOWN) {
        text = text.code(service.service.as_str()).plain(format!(" stays: {}\n", flat(service.reasons.join("; "))));
    }
    if let Some(more) = with.len().checked_sub(SERVICES_SHOWN).filter(|n| *n > 0) {
        text = text.plain(format!("and {more} more stay\n"));
    }
    if !without.is_empty() {
        text = text.plain(format!("Stays as it is: {}\n", listing(without.iter().map(|s| &s.service), SERVICES_SHOWN)));
    }
    text
}

fn steps(text: Text, plan: &Plan) -> Text {
    let mut text = text;
    // One step alone is what the services' lines say, where it has to do with any.
    let is_said = |step: &Step| !matches!(step, Step::Resources { .. });
    if plan.steps.len() < 2 && plan.steps.iter().all(is_said) {
        return text;
    }
    let how = plan.strategy.map_or(String::new(), |s| format!(" ({})", s.word()));
    text = text.plain(format!("\nSteps{how}:\n"));
    for (n, label) in plan.steps.iter().map(Step::label).enumerate().take(STEPS_SHOWN) {
        text = text.plain(format!("{}. {label}\n", n + 1));
    }
    if let Some(more) = plan.steps.len().checked_sub(STEPS_SHOWN).filter(|n| *n > 0) {
        text = text.plain(format!("and {more} more\n"));
    }
    text
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::testing::check;
    use super::*;
    use crate::domain::orphans::Orphan;
    use crate::domain::plan::{TidyFacts, plan_tidy};
    use crate::domain::project::{ProjectName, ServiceName, Strategy};
    use crate::domain::request::{ReleaseOptions, Request, Target};
    use expect_test::expect;

    pub(crate) fn name(name: &str) -> ServiceName {
        ServiceName::new(name).unwrap()
    }

    pub(crate) fn service(service: &str, action: Action) -> ServicePlan {
        ServicePlan::of(name(service), action)
    }

    pub(crate) fn target(service: Option<&str>) -> Target {
        Target { project: ProjectName::new("shop").unwrap(), service: service.map(name) }
    }

    pub(crate) fn restart() -> Plan {
        let mut api = service("api", Action::Restart);
        api.ails = Some("unhealthy already".into());
        let mut postgres = service("postgres", Action::Stay);
        postgres.reasons = vec!["keeps data; name it to include it".into()];
        postgres.stateful = true;
        let request = Request::Restart { target: target(None), strategy: None, force: false };
        let steps = vec![Step::Restart { services: vec![name("api")] }, Step::Restart { services: vec![name("web")] }];
        let services = vec![api, postgres, service("web", Action::Restart)];
        Plan { strategy: Some(Strategy::Dependency), ..Plan::without_files(&request, steps, services, Vec::new(), "d1".into()) }
    }

    pub(crate) fn tidy() -> Plan {
        let orphan = |name: &str, why: &str, seen: &str| Orphan {
            id: name.into(),
            name: name.into(),
            why: why.into(),
            seen: seen.into(),
            stateful: false,
        };
        let orphans = vec![
            orphan("dockmaster-tools-mail", "mail is no longer configured", "running for 3 h"),
            orphan("dockmaster-tools-web-3", "web has 2 instances now", "stopped for 5 min"),
        ];
        let network = Some("dockmaster-tools".to_owned());
        plan_tidy(TidyFacts { orphans, network }, &Request::Tidy { project: ProjectName::new("tools").unwrap() })
    }

    pub(crate) fn deploy() -> Plan {
        let paths = |all: &[&str]| all.iter().map(|p| TreePath::from(*p)).collect::<Vec<_>>();
        let mut backend = service("backend", Action::Recreate);
        backend.build = true;
        backend.reasons = vec!["requirements.txt changed".into()];
        let mut postgres = service("postgres", Action::Stay);
        postgres.stateful = true;
        postgres.reasons = vec!["keeps data, so it stays; pending".into(), "configuration changed".into()];
        let mut web = service("web", Action::Restart);
        web.reasons = vec!["mounted files changed: nginx.conf".into()];
        Plan {
            request: Request::Deploy { project: ProjectName::new("shop").unwrap(), options: ReleaseOptions::default() },
            strategy: None,
            by_compose: false,
            steps: vec![
                Step::Stage,
                Step::Build { services: vec![name("backend")] },
                Step::Promote,
                Step::Up { services: vec![name("backend")] },
                Step::Restart { services: vec![name("web")] },
                Step::Verify { services: vec![name("backend"), name("web")] },
                Step::Record,
            ],
            services: vec![postgres, backend, web, service("cache", Action::Stay)],
            files: Some(Changes {
                added: paths(&["a", "b", "c", "d", "e", "f", "g"]),
                changed: paths(&["nginx.conf", "requirements.txt"]),
                deleted: paths(&["old.py"]),
                kept: paths(&["uploads/1.png"]),
                edited: paths(&["nginx.conf"]),
            }),
            release: Some(2),
            not_copied: vec![("data".into(), "postgres writes there".into())],
            unset: vec!["OPTIONAL_FLAG".into()],
            unmarked: vec![name("redis")],
            preserved: vec![("app.conf".into(), "changed since release 1".into())],
            written: Vec::new(),
            absent: Vec::new(),
            remade_networks: Vec::new(),
            warnings: vec!["Edited by hand in production and overwritten: nginx.conf.".into()],
            digest: "d2".into(),
        }
    }

    #[test]
    fn a_restart() {
        check(
            &plan(&restart()),
            expect![[r#"
                *Restart shop*

                Restart: api, web
                `postgres` stays: keeps data; name it to include it

                Steps (dependency):
                1. Restart api
                2. Restart web

                ⚠️ api is unhealthy already."#]],
        );
    }

    #[test]
    fn a_restart_of_one_service() {
        let mut plan_ = restart();
        plan_.request = Request::Restart { target: target(Some("web")), strategy: None, force: false };
        plan_.steps.remove(0);
        plan_.services = vec![service("api", Action::Stay), service("postgres", Action::Stay), service("web", Action::Restart)];
        check(
            &plan(&plan_),
            expect![[r#"
            *Restart shop/web*

            Restart: web
            Stays as it is: api, postgres"#]],
        );
    }

    #[test]
    fn a_deploy() {
        check(
            &plan(&deploy()),
            expect![[r#"
                *Deploy shop as release 2*

                New, 7 files: `a`, `b`, `c`, `d`, `e` and 2 more
                Changed, 2 files: `nginx.conf`, `requirements.txt`
                Deleted, 1 file: `old.py`
                Only in production and kept, 1 file: `uploads/1.png`
                Not copied: `data` (postgres writes there)
                Kept as production has it: `app.conf` (changed since release 1). `overwrite=app.conf` replaces it.

                `backend`: build, recreate (`requirements.txt` changed)
                `web`: restart (mounted files changed: `nginx.conf`)
                `postgres` stays: keeps data, so it stays; pending; configuration changed
                Stays as it is: cache

                Steps:
                1. Copy the workspace aside
                2. Build backend
                3. Bring the files into production
                4. Bring up backend
                5. Restart web
                6. Verify backend, web
                7. Record the release

                ⚠️ Edited by hand in production and overwritten: `nginx.conf`.
                ⚠️ No service is named as stateful, and redis may keep data. To protect them, add to `projects.json`: `"stateful": ["redis"]`
                ⚠️ Nothing sets these variables of the compose file, so they are empty. To set them, add to production's .env:
                `OPTIONAL_FLAG=`"#]],
        );
    }

    #[test]
    fn a_deploy_that_takes_a_stateful_service_along() {
        let mut plan_ = deploy();
        plan_.services = vec![service("postgres", Action::Recreate)];
        plan_.services[0].stateful = true;
        plan_.files = Some(Changes::default());
        plan_.not_copied.clear();
        plan_.preserved.clear();
        plan_.steps = vec![Step::Stage, Step::Up { services: vec![name("postgres")] }];
        plan_.warnings = vec!["postgres keeps data and is stopped for this; web depends on it.".into()];
        check(
            &plan(&plan_),
            expect![[r#"
                *Deploy shop as release 2*

                Files: no change

                `postgres`: recreate

                Steps:
                1. Copy the workspace aside
                2. Bring up postgres

                ⚠️ postgres keeps data and is stopped for this; web depends on it.
                ⚠️ What is in volumes stays, and what a new version writes there is not undone.
                ⚠️ No service is named as stateful, and redis may keep data. To protect them, add to `projects.json`: `"stateful": ["redis"]`
                ⚠️ Nothing sets these variables of the compose file, so they are empty. To set them, add to production's .env:
                `OPTIONAL_FLAG=`"#]],
        );
    }

    #[test]
    fn what_is_left_over() {
        let mut plan_ = tidy();
        check(
            &plan(&plan_),
            expect![[r#"
                *Tidy up tools*

                Stopped and removed:
                `dockmaster-tools-mail`: mail is no longer configured (running for 3 h)
                `dockmaster-tools-web-3`: web has 2 instances now (stopped for 5 min)
                `dockmaster-tools`, the project's own network, which no service is in any more, is removed
                Volumes stay, with all that is in them."#]],
        );
        plan_.steps.clear();
        check(&nothing_to_do(&plan_), expect!["Nothing to tidy up: nothing is left over from tools."]);
    }

    #[test]
    fn two_hundred_services_fit_one_message() {
        let mut plan_ = restart();
        let many: Vec<ServiceName> = (0..200).map(|n| name(&format!("a-service-with-quite-a-long-name-{n}"))).collect();
        plan_.services = many.iter().map(|s| service(s.as_str(), Action::Restart)).collect();
        plan_.steps = many.into_iter().map(|s| Step::Restart { services: vec![s] }).collect();
        assert!(plan(&plan_).to_plain().encode_utf16().count() < 3_500);
    }

    #[test]
    fn nothing_to_do_says_what_stays() {
        let mut plan_ = restart();
        plan_.request = Request::Start { target: target(None), force: false };
        plan_.services.iter_mut().for_each(|s| s.action = Action::Stay);
        check(
            &nothing_to_do(&plan_),
            expect![[r#"
            Nothing to start: shop runs already.
            `postgres` stays: keeps data; name it to include it
            Stays as it is: api, web"#]],
        );
        let mut plan_ = deploy();
        plan_.services.clear();
        plan_.warnings.clear();
        let kept = plan_.preserved.split_off(0);
        check(&nothing_to_do(&plan_), expect!["Nothing to deploy: production of shop is what the workspace holds."]);
        plan_.preserved = [kept, vec![("a b".into(), "no release brought it".into())]].concat();
        check(
            &nothing_to_do(&plan_),
            expect![[r#"
                Nothing to deploy: production of shop is what the workspace holds.
                Kept as production has it: `app.conf` (changed since release 1), `a b` (no release brought it). `overwrite=PATH` replaces one of them."#]],
        );
    }
}

//! What is measured of services, in the text format of Prometheus.

use std::fmt::Write;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::domain::access::Actor;
use crate::domain::container::Check;
use crate::domain::measures::Checks;
use crate::domain::project::ProjectName;
use crate::domain::status::ServiceStatus;
use crate::domain::untrusted::UntrustedText;
use crate::operations::Desk;

/// The text format's own type.
const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn metrics(State(desk): State<Arc<Desk>>, Extension(actor): Extension<Actor>) -> Response {
    let all = desk.services(&actor).await;
    // Whoever asks for metrics gets those that there are: one project that cannot be asked about says so by its own.
    let all: Vec<Line> = all.into_iter().map(|(project, services)| (project, services.ok())).collect();
    ([(CONTENT_TYPE, TYPE)], text(&all)).into_response()
}

/// A project and its services; none where they could not be asked about.
type Line = (ProjectName, Option<Vec<ServiceStatus>>);

/// A metric of services.
struct Metric {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    /// None where a service has none.
    value: fn(&ServiceStatus) -> Option<String>,
}

const METRICS: [Metric; 7] = [
    Metric {
        name: "dockmaster_service_up",
        kind: "gauge",
        help: "1 where it runs, and is healthy where it has a health check, else 0. A job that is done, or has not run yet, has none.",
        value: |service| service.is_to_be_up().then(|| i64::from(service.is_up()).to_string()),
    },
    Metric {
        name: "dockmaster_service_uptime_seconds",
        kind: "gauge",
        help: "For how long it has been running.",
        value: |service| service.measures.uptime.map(seconds),
    },
    Metric {
        name: "dockmaster_service_startup_seconds",
        kind: "gauge",
        help: "How long its last start that came up took until its health check was good.",
        value: |service| service.measures.startup.map(|startup| seconds(startup.took)),
    },
    Metric {
        name: "dockmaster_service_health_check_duration_seconds",
        kind: "gauge",
        help: "How long its last health check took.",
        value: |service| last(service.measures.checks).map(|check| seconds(check.took)),
    },
    Metric {
        name: "dockmaster_service_last_check_timestamp_seconds",
        kind: "gauge",
        help: "When its last health check ended.",
        value: |service| last(service.measures.checks).map(|check| seconds(check.at)),
    },
    Metric {
        name: "dockmaster_service_last_check_good",
        kind: "gauge",
        help: "1 where its last health check was good, else 0.",
        value: |service| last(service.measures.checks).map(|check| i64::from(check.good).to_string()),
    },
    Metric {
        name: "dockmaster_service_restarts_total",
        kind: "counter",
        help: "How often it was started again since dockmaster saw it first, by the engine or by anybody else.",
        value: |service| service.measures.since.map(|_| service.measures.restarts.to_string()),
    },
];

fn last(checks: Option<Checks>) -> Option<Check> {
    checks.and_then(|checks| checks.last)
}

/// Milliseconds as seconds.
fn seconds(ms: i64) -> String {
    format!("{}{}.{:03}", if ms < 0 { "-" } else { "" }, (ms / 1_000).abs(), (ms % 1_000).abs())
}

/// All of it.
fn text(all: &[Line]) -> String {
    let mut text = String::new();
    heading(&mut text, "dockmaster_project_known", "gauge", "1 where its services could be asked about, else 0 and none of them is here.");
    for (project, services) in all {
        sample(&mut text, "dockmaster_project_known", &[("project", project.as_str())], &i64::from(services.is_some()).to_string());
    }
    for metric in METRICS {
        heading(&mut text, metric.name, metric.kind, metric.help);
        for (project, services) in all {
            for service in services.iter().flatten() {
                let container = service.container.as_ref().map(UntrustedText::raw).unwrap_or_default();
                let labels = [("project", project.as_str()), ("service", service.service.as_str()), ("container", container)];
                if let Some(value) = (metric.value)(service) {
                    sample(&mut text, metric.name, &labels, &value);
                }
            }
        }
    }
    text
}

// Writing to a string does not fail.
fn heading(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn sample(text: &mut String, name: &str, labels: &[(&str, &str)], value: &str) {
    let labels: Vec<String> = labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
    let _ = writeln!(text, "{name}{{{}}} {value}", labels.join(","));
}

/// A label's value as the format wants it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::container::Condition;
    use crate::domain::measures::{ServiceMeasures, StartUp};
    use crate::domain::project::ServiceName;
    use expect_test::expect;

    fn service(name: &str, condition: Condition) -> ServiceStatus {
        let missing = ServiceStatus::missing(ServiceName::new(name).unwrap());
        ServiceStatus { container: Some(format!("shop-{name}-1").into()), condition, ..missing }
    }

    #[test]
    fn the_text() {
        let mut web = service("web", Condition::Running);
        web.measures = ServiceMeasures {
            uptime: Some(8_100_005),
            startup: Some(StartUp { at: 1, took: 4_250, operation: None }),
            checks: Some(Checks { count: 2, total: 160, failures: 1, last: Some(Check { at: 1_738_332_190_080, took: 80, good: true }) }),
            check_average: Some(80),
            restarts: 3,
            since: Some(0),
        };
        let mut gone = service("gone", Condition::Missing);
        gone.container = None;
        let job = ServiceStatus { done: true, ..service("job", Condition::Stopped) };
        let name = |name: &str| ProjectName::new(name).unwrap();
        let all = [(name("shop"), Some(vec![web, gone, job])), (name("blog"), None)];
        expect![[r##"
            # HELP dockmaster_project_known 1 where its services could be asked about, else 0 and none of them is here.
            # TYPE dockmaster_project_known gauge
            dockmaster_project_known{project="shop"} 1
            dockmaster_project_known{project="blog"} 0
            # HELP dockmaster_service_up 1 where it runs, and is healthy where it has a health check, else 0. A job that is done, or has not run yet, has none.
            # TYPE dockmaster_service_up gauge
            dockmaster_service_up{project="shop",service="web",container="shop-web-1"} 1
            dockmaster_service_up{project="shop",service="gone",container=""} 0
            # HELP dockmaster_service_uptime_seconds For how long it has been running.
            # TYPE dockmaster_service_uptime_seconds gauge
            dockmaster_service_uptime_seconds{project="shop",service="web",container="shop-web-1"} 8100.005
            # HELP dockmaster_service_startup_seconds How long its last start that came up took until its health check was good.
            # TYPE dockmaster_service_startup_seconds gauge
            dockmaster_service_startup_seconds{project="shop",service="web",container="shop-web-1"} 4.250
            # HELP dockmaster_service_health_check_duration_seconds How long its last health check took.
            # TYPE dockmaster_service_health_check_duration_seconds gauge
            dockmaster_service_health_check_duration_seconds{project="shop",service="web",container="shop-web-1"} 0.080
            # HELP dockmaster_service_last_check_timestamp_seconds When its last health check ended.
            # TYPE dockmaster_service_last_check_timestamp_seconds gauge
            dockmaster_service_last_check_timestamp_seconds{project="shop",service="web",container="shop-web-1"} 1738332190.080
            # HELP dockmaster_service_last_check_good 1 where its last health check was good, else 0.
            # TYPE dockmaster_service_last_check_good gauge
            dockmaster_service_last_check_good{project="shop",service="web",container="shop-web-1"} 1
            # HELP dockmaster_service_restarts_total How often it was started again since dockmaster saw it first, by the engine or by anybody else.
            # TYPE dockmaster_service_restarts_total counter
            dockmaster_service_restarts_total{project="shop",service="web",container="shop-web-1"} 3
        "##]].assert_eq(&text(&all));
    }

    #[test]
    fn what_a_label_holds_stays_in_it() {
        let mut text = String::new();
        sample(&mut text, "up", &[("container", "a\"} 1\nup{b=\"\\")], "0");
        assert_eq!(text, "up{container=\"a\\\"} 1\\nup{b=\\\"\\\\\"} 0\n");
    }

    #[test]
    fn seconds_have_their_milliseconds() {
        assert_eq!([0, 80, 1_005, -20].map(seconds), ["0.000", "0.080", "1.005", "-0.020"]);
    }
}

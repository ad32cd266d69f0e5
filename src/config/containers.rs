//! Containers that somebody else made: how each entry of `containers` finds them.

use crate::domain::project::{ContainerSelector, ServiceName, Way};

use super::read::{At, Object};
use super::report::{Place, Report};
use super::service_values;
use super::values;

/// The label with which people say themselves what a container's service is.
const OWN_LABEL: &str = "dockmaster.service";
/// The ports that there are.
const PORTS: std::ops::RangeInclusive<i64> = 1..=65_535;

/// Reads `containers`.
pub(super) fn read(report: &mut Report, at: &At<'_>) -> Vec<(ContainerSelector, Place)> {
    let expected = "a list of container names and { \"label\": \"key=value\" }";
    at.not_empty(report, "container name or label");
    let found = at.distinct(report, expected, |item, report| {
        if item.is_text() {
            let ContainerSelector { service, ways } = ContainerSelector::named(item.container(report)?);
            return Some((service, ways));
        }
        let object = item.object(report, "a container's name or { \"label\": \"key=value\" }")?;
        selector(report, object)
    });
    found.into_iter().map(|((service, ways), place)| (ContainerSelector { service, ways }, place)).collect()
}

/// What an entry is known as, where all that it can find is called the same.
pub(super) fn called(selector: &ContainerSelector) -> Option<&ServiceName> {
    match (&selector.service, &selector.ways[..]) {
        (Some(service), _) | (None, [Way::Compose { service, .. }]) => Some(service),
        _ => None,
    }
}

fn selector(report: &mut Report, mut object: Object<'_>) -> Option<(Option<ServiceName>, Vec<Way>)> {
    let empty = object.entries().next().is_none();
    let service = object.get("service").map(|at| at.service(report));
    let compose = object.get("compose").map(|at| at.parse(report, service_values::compose_service));
    let label = object.get("label").map(|at| at.parse(report, values::label).map(Way::Label));
    let name = object.get("name").map(|at| at.container(report).map(Way::Name));
    let pattern = object.get("pattern").map(|at| at.parse(report, service_values::name_pattern).map(Way::Pattern));
    let port = object.get("port").map(|at| {
        let port = at.whole(report, PORTS, "a port that is published on the host, a number from 1 to 65535")?;
        u16::try_from(port).ok().map(Way::Port)
    });
    if empty {
        let expected = "“service”, “compose”, “label”, “name”, “pattern” or “port”";
        report.problem(&object.place(), "an object that says nothing", expected);
    }
    object.finish(report, &[]);
    let given: Vec<Option<Way>> = [compose, label, name, pattern, port].into_iter().flatten().collect();
    // What could not be read was told of; half a selector would find something else.
    let ways: Vec<Way> = given.into_iter().collect::<Option<_>>()?;
    match (service, ways) {
        (Some(service), ways) if ways.is_empty() => service.map(|service| (Some(service.clone()), everywhere(service))),
        (Some(service), ways) => service.map(|service| (Some(service), ways)),
        (None, ways) if ways.is_empty() => None,
        (None, ways) => match &ways[..] {
            [Way::Name(name)] => Some((Some(name.clone()), ways)),
            _ => Some((None, ways)),
        },
    }
}

/// All ways in which a name can be looked for.
fn everywhere(service: ServiceName) -> Vec<Way> {
    let pattern = format!("{{{service},{service}[-_.]*,*[-_.]{service},*[-_.]{service}[-_.]*}}");
    vec![
        Way::Compose { project: None, service: service.clone() },
        Way::Label(format!("{OWN_LABEL}={service}")),
        Way::Name(service),
        Way::Pattern(pattern),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_of_a_name_takes_it_as_a_word_of_its_own() {
        let ways = everywhere(ServiceName::new("web-1.x").unwrap());
        let Some(Way::Pattern(pattern)) = ways.last() else { panic!() };
        let matcher = globset::Glob::new(pattern).unwrap().compile_matcher();
        for good in ["web-1.x", "web-1.x-2", "shop_web-1.x", "shop-web-1.x.3"] {
            assert!(matcher.is_match(good), "{good}");
        }
        for bad in ["web-1", "web-1.xy", "myweb-1.x", "web-1_x", "web-1.xy-2"] {
            assert!(!matcher.is_match(bad), "{bad}");
        }
    }
}

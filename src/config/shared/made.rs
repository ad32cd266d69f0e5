//! What no two managed services can have: the name of a container, a port of the host.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::super::project::Draft;
use super::super::report::{Place, Report, quote};
use super::super::services::Made;

/// A service and whose it is.
#[derive(Clone, Copy)]
struct Whose<'a> {
    draft: &'a Draft,
    made: &'a Made,
}

impl Whose<'_> {
    /// For a person who reads of another service of the same project, or of another project.
    fn told(self, to: &Draft) -> String {
        let name = quote(self.made.name.as_str());
        if self.draft.written == to.written { name } else { format!("{name} of project {}", quote(&self.draft.written)) }
    }
}

/// Compares all services of all projects.
pub(super) fn check(report: &mut Report, drafts: &[Draft]) {
    names(report, drafts);
    ports(report, drafts);
}

fn all(drafts: &[Draft]) -> impl Iterator<Item = Whose<'_>> {
    drafts.iter().flat_map(|draft| draft.services.iter().map(move |made| Whose { draft, made }))
}

/// A container is called `project-service`, with `-NUMBER` behind it where there are several. They are not counted up one by one:
/// a configuration could name millions.
fn names(report: &mut Report, drafts: &[Draft]) {
    let mut single: BTreeMap<String, Whose<'_>> = BTreeMap::new();
    let mut several: BTreeMap<String, Whose<'_>> = BTreeMap::new();
    for whose in all(drafts) {
        let name = format!("{}-{}", whose.draft.written, whose.made.name);
        let owners = if whose.made.definition.instances == 1 { &mut single } else { &mut several };
        match owners.get(&name) {
            // A project that is there twice is told of as such.
            Some(other) if other.draft.written == whose.draft.written => {}
            Some(other) => same_name(report, whose, *other),
            None => drop(owners.insert(name, whose)),
        }
    }
    for (name, whose) in &single {
        let Some((base, number)) = name.rsplit_once('-') else { continue };
        let number = number.parse::<u16>().ok().filter(|n| n.to_string() == number);
        if let Some(other) = several.get(base).filter(|other| number.is_some_and(|n| other.made.definition.numbers().any(|own| own == n))) {
            same_name(report, *whose, *other);
        }
    }
}

fn same_name(report: &mut Report, whose: Whose<'_>, other: Whose<'_>) {
    let found = format!("{}, whose container would be called like one of {}", quote(whose.made.name.as_str()), other.told(whose.draft));
    report.problem(&whose.made.place, found, "a name that leads to another container");
}

/// A port of the host: protocol, number, the kind of address, and the address. In this order, so that all of one kind stand
/// together.
type Port<'a> = (&'a str, u16, Kind, &'a str);

/// A kind of addresses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    All,
    V4,
    V6,
}

fn ports(report: &mut Report, drafts: &[Draft]) {
    let mut owners: BTreeMap<Port<'_>, (Whose<'_>, &Place)> = BTreeMap::new();
    for whose in all(drafts) {
        for (port, place) in whose.made.ports.iter().filter(|(port, _)| port.host > 0) {
            let kind = match port.address.parse() {
                Ok(IpAddr::V4(_)) => Kind::V4,
                Ok(IpAddr::V6(_)) => Kind::V6,
                Err(_) => Kind::All,
            };
            let wanted = (port.protocol.as_str(), port.host, kind, port.address.as_str());
            if let Some((other, at)) = taken(&owners, wanted) {
                let found = format!("port {} of the host, which {} has at {}", port.host, other.told(whose.draft), at.path);
                report.problem(place, found, "a port of its own, or “auto”");
            }
            owners.entry(wanted).or_insert((whose, place));
        }
    }
}

/// Who listens already where something wants to: at that address, at all addresses that it is one of, or at one of them.
fn taken<'m, 'a>(owners: &'m BTreeMap<Port<'a>, (Whose<'a>, &'a Place)>, wanted: Port<'a>) -> Option<&'m (Whose<'a>, &'a Place)> {
    let (protocol, port, kind, address) = wanted;
    let first = |from: Kind, to: Kind| {
        let next = owners.range((protocol, port, from, "")..).next();
        next.filter(|(other, _)| (other.0, other.1) == (protocol, port) && other.2 <= to).map(|(_, owner)| owner)
    };
    let any = if kind == Kind::V4 { "0.0.0.0" } else { "::" };
    match kind {
        Kind::All => first(Kind::All, Kind::V6),
        _ if address == any => first(Kind::All, Kind::All).or_else(|| first(kind, kind)),
        _ => first(Kind::All, Kind::All).or_else(|| owners.get(&(protocol, port, kind, any))).or_else(|| owners.get(&wanted)),
    }
}

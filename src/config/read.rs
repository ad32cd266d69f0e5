//! Typed reading of a [`Node`]: each reader tells what is wrong and goes on, so that one pass finds everything.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use crate::domain::access::Role;
use crate::domain::names::{self, Match};
use crate::domain::project::ServiceName;

use super::report::{Place, Report, child, either, quote};
use super::span::{Member, Node, Value};
use super::values::Bounds;

/// The most items of a list: comparing what many projects list takes time.
pub(super) const ITEMS_MAX: usize = 200;

/// The most names that are told as alternatives.
const SHOWN_MAX: usize = 10;

/// A value on its way to becoming something typed.
#[derive(Clone)]
pub(super) struct At<'a> {
    node: &'a Node,
    path: String,
}

impl<'a> At<'a> {
    /// The whole file.
    pub(super) fn root(node: &'a Node) -> Self {
        Self { node, path: String::new() }
    }

    /// Where it stands.
    pub(super) fn place(&self) -> Place {
        Place { at: self.node.at, path: self.path.clone() }
    }

    /// What it is, for a person.
    pub(super) fn shown(&self) -> String {
        match &self.node.value {
            Value::Null => "null".to_owned(),
            Value::Bool(b) => b.to_string(),
            Value::Number(n) => n.chars().take(40).collect(),
            Value::Text(t) => quote(t),
            Value::List(_) => "a list".to_owned(),
            Value::Object(_) => "an object".to_owned(),
        }
    }

    /// Tells that something else was expected.
    pub(super) fn wrong(&self, report: &mut Report, expected: impl Into<String>) {
        report.problem(&self.place(), self.shown(), expected);
    }

    /// A string.
    pub(super) fn text(&self, report: &mut Report, expected: &str) -> Option<&'a str> {
        if let Value::Text(text) = &self.node.value {
            return Some(text);
        }
        self.wrong(report, expected);
        None
    }

    /// A string that a function understands; its error says what was expected.
    pub(super) fn parse<T, E: ToString>(&self, report: &mut Report, read: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let result = match &self.node.value {
            Value::Text(text) => read(text),
            // Every function refuses the empty string, which makes it tell what it wants in place of a number.
            _ => read(""),
        };
        match (result, &self.node.value) {
            (Ok(value), Value::Text(_)) => return Some(value),
            (Ok(_), _) => self.wrong(report, "a string"),
            (Err(expected), _) => self.wrong(report, expected.to_string()),
        }
        None
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, report: &mut Report) -> Option<bool> {
        if let Value::Bool(flag) = self.node.value {
            return Some(flag);
        }
        self.wrong(report, "true or false");
        None
    }

    /// A whole number in a range.
    pub(super) fn whole(&self, report: &mut Report, range: RangeInclusive<i64>, expected: &str) -> Option<i64> {
        self.number(report, &range, expected)
    }

    /// A number that may have a fraction, in a range.
    pub(super) fn decimal(&self, report: &mut Report, range: RangeInclusive<f64>, expected: &str) -> Option<f64> {
        self.number(report, &range, expected)
    }

    fn number<T: FromStr + PartialOrd>(&self, report: &mut Report, range: &RangeInclusive<T>, expected: &str) -> Option<T> {
        let number = match &self.node.value {
            Value::Number(text) => text.parse().ok().filter(|n| range.contains(n)),
            _ => None,
        };
        if number.is_none() {
            self.wrong(report, expected);
        }
        number
    }

    /// A duration in its bounds.
    pub(super) fn duration(&self, report: &mut Report, bounds: &Bounds) -> Option<Duration> {
        self.parse(report, |text| bounds.read(text))
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(&self, report: &mut Report, words: &[(&str, T)]) -> Option<T> {
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.parse(report, |text| words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| either(&all)))
    }

    /// A role.
    pub(super) fn role(&self, report: &mut Report) -> Option<Role> {
        self.word(report, &[Role::Viewer, Role::Operator, Role::Admin].map(|r| (r.word(), r)))
    }

    /// The name of a service.
    pub(super) fn service(&self, report: &mut Report) -> Option<ServiceName> {
        self.parse(report, ServiceName::new)
    }

    /// The name of a container.
    pub(super) fn container(&self, report: &mut Report) -> Option<ServiceName> {
        self.parse(report, ServiceName::plain)
    }

    /// The items of a list, at most [`ITEMS_MAX`]; none for anything else.
    pub(super) fn items(&self, report: &mut Report, expected: &str) -> Vec<At<'a>> {
        let Value::List(items) = &self.node.value else {
            self.wrong(report, expected);
            return Vec::new();
        };
        if items.len() > ITEMS_MAX {
            report.problem(&self.place(), format!("{} items", items.len()), format!("at most {ITEMS_MAX}"));
        }
        items.iter().take(ITEMS_MAX).enumerate().map(|(i, node)| At { node, path: format!("{}[{i}]", self.path) }).collect()
    }

    /// The strings of a list that must hold something, such as a program with its arguments. They may be secret: what stands in
    /// their place is told without its value.
    pub(super) fn texts(&self, report: &mut Report, expected: &str) -> Vec<String> {
        if !self.is_list() {
            report.problem(&self.place(), self.kind(), expected);
            return Vec::new();
        }
        self.not_empty(report, "string");
        self.items(report, expected).iter().filter_map(|item| item.secret(report, "a string").map(str::to_owned)).collect()
    }

    /// A string that may be secret: what else stands there is told without its value.
    pub(super) fn secret(&self, report: &mut Report, expected: &str) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) if text.contains('\0') => {
                report.problem(&self.place(), "a string with the character U+0000", "one without it")
            }
            Value::Text(text) => return Some(text),
            _ => report.problem(&self.place(), self.kind(), expected),
        }
        None
    }

    /// The entries of an object that maps names to values, at most [`ITEMS_MAX`]; what stands in its place is told without its
    /// value.
    pub(super) fn map(&self, report: &mut Report, expected: &str) -> Vec<Named<'a>> {
        if !matches!(self.node.value, Value::Object(_)) {
            report.problem(&self.place(), self.kind(), expected);
            return Vec::new();
        }
        let Some(object) = self.object(report, expected) else { return Vec::new() };
        if object.order.len() > ITEMS_MAX {
            report.problem(&self.place(), format!("{} entries", object.order.len()), format!("at most {ITEMS_MAX}"));
        }
        object.entries().take(ITEMS_MAX).collect()
    }

    /// Tells where a list holds nothing.
    pub(super) fn not_empty(&self, report: &mut Report, noun: &str) {
        if matches!(&self.node.value, Value::List(items) if items.is_empty()) {
            report.problem(&self.place(), "an empty list", format!("at least one {noun}"));
        }
    }

    /// The items of a list as a function reads them, each of which may be there once only.
    pub(super) fn distinct<T: Ord + Clone>(
        &self,
        report: &mut Report,
        expected: &str,
        mut read: impl FnMut(&At<'a>, &mut Report) -> Option<T>,
    ) -> Vec<(T, Place)> {
        let (mut seen, mut out) = (BTreeMap::<T, String>::new(), Vec::new());
        for item in self.items(report, expected) {
            let Some(value) = read(&item, report) else { continue };
            match seen.entry(value.clone()) {
                Entry::Occupied(first) => item.twice(report, first.get()),
                Entry::Vacant(slot) => {
                    slot.insert(item.path.clone());
                    out.push((value, item.place()));
                }
            }
        }
        out
    }

    fn twice(&self, report: &mut Report, first: &str) {
        report.problem(&self.place(), format!("{} again", self.shown()), format!("it once, as in {first}"));
    }

    /// Whether it is a string.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.node.value, Value::Text(_))
    }

    /// Whether it is a list.
    pub(super) fn is_list(&self) -> bool {
        matches!(self.node.value, Value::List(_))
    }

    /// Whether it is an object without members.
    pub(super) fn is_empty_object(&self) -> bool {
        matches!(&self.node.value, Value::Object(members) if members.is_empty())
    }

    /// What kind of value it is, for a person.
    pub(super) fn kind(&self) -> &'static str {
        match self.node.value {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "a string",
            Value::List(_) => "a list",
            Value::Object(_) => "an object",
        }
    }

    /// An object, its equal keys told.
    pub(super) fn object(&self, report: &mut Report, expected: &str) -> Option<Object<'a>> {
        let Value::Object(members) = &self.node.value else {
            self.wrong(report, expected);
            return None;
        };
        let mut object = Object { at: self.clone(), order: Vec::new(), members: BTreeMap::new(), asked: Vec::new() };
        for member in members {
            match object.members.entry(&member.key) {
                Entry::Vacant(slot) => {
                    slot.insert(member);
                    object.order.push(member);
                }
                Entry::Occupied(_) => {
                    report.problem(&object.key_place(member), format!("the key {} again", quote(&member.key)), "each key once");
                }
            }
        }
        Some(object)
    }
}

/// An object whose keys are asked for one by one; what nobody asked for is unknown.
pub(super) struct Object<'a> {
    at: At<'a>,
    order: Vec<&'a Member>,
    members: BTreeMap<&'a str, &'a Member>,
    asked: Vec<&'static str>,
}

/// One entry of an object that maps names to values.
pub(super) struct Named<'a> {
    /// The name.
    pub(super) key: &'a str,
    /// Where the name stands.
    pub(super) place: Place,
    /// The value.
    pub(super) at: At<'a>,
}

impl<'a> Object<'a> {
    fn key_place(&self, member: &Member) -> Place {
        Place { at: member.at, path: child(&self.at.path, &member.key) }
    }

    /// Where it stands.
    pub(super) fn place(&self) -> Place {
        self.at.place()
    }

    /// Where a key would stand that is not there.
    pub(super) fn place_of(&self, key: &str) -> Place {
        match self.members.get(key) {
            Some(member) => Place { at: member.node.at, path: child(&self.at.path, key) },
            None => Place { at: self.at.node.at, path: child(&self.at.path, key) },
        }
    }

    /// Whether a key is there, known or not.
    pub(super) fn has(&self, key: &str) -> bool {
        self.members.contains_key(key)
    }

    /// The value of a key, which is known from now on.
    pub(super) fn get(&mut self, key: &'static str) -> Option<At<'a>> {
        self.asked.push(key);
        self.members.get(key).map(|m| At { node: &m.node, path: child(&self.at.path, key) })
    }

    /// The value of a key that must be there.
    pub(super) fn need(&mut self, report: &mut Report, key: &'static str, expected: &str) -> Option<At<'a>> {
        let value = self.get(key);
        if value.is_none() {
            report.problem(&self.place_of(key), "nothing", expected);
        }
        value
    }

    /// Its entries, where it maps names to values.
    pub(super) fn entries(&self) -> impl Iterator<Item = Named<'a>> {
        self.order.iter().map(|m| {
            let place = self.key_place(m);
            Named { key: &m.key, at: At { node: &m.node, path: place.path.clone() }, place }
        })
    }

    /// Tells of the keys that nobody asked for; `later` are the ones of a version to come.
    pub(super) fn finish(self, report: &mut Report, later: &[&str]) {
        for member in &self.order {
            let key = member.key.as_str();
            let place = self.key_place(member);
            if self.asked.contains(&key) {
                continue;
            }
            if later.contains(&key) {
                report.problem(&place, "a key that is not in this version yet", "it to be left out");
                continue;
            }
            let expected = match names::find(key, self.asked.iter().copied()) {
                Match::Found(near) => quote(near),
                Match::Unknown(near) => near.first().map_or_else(|| format!("one of {}", either(&self.asked)), |n| quote(n)),
            };
            report.problem(&place, format!("the unknown key {}", quote(key)), expected);
        }
    }
}

/// What was probably meant by a name that is not among the known ones; else some of them, which are `all`.
pub(super) fn nearest(typed: &str, known: &[&str], all: &str) -> String {
    match names::find(typed, known.iter().copied()) {
        Match::Found(near) => quote(near),
        Match::Unknown(near) if near.is_empty() => {
            format!("{all}: {}", either(&known.iter().copied().take(SHOWN_MAX).collect::<Vec<_>>()))
        }
        Match::Unknown(near) => either(&near),
    }
}

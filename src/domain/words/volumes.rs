//! Where the data of a project is, and that there is little room for it.

use super::{trimmed, warning};
use crate::domain::Millis;
use crate::domain::space::{Keeps, LowSpace, Space};
use crate::domain::text::{Text, bytes, duration};
use crate::domain::untrusted::UntrustedText;
use crate::domain::volumes::{Figure, Lasts, ProjectVolumes, Store, StoreKind, StoreUser, Trouble, Why};

/// How much of a name is shown that the engine made up.
const ID_SHOWN: usize = 12;
/// How many users of one store are named.
const USERS_SHOWN: usize = 10;
/// How many places on a file system are named.
const PLACES_SHOWN: usize = 8;
/// A measure of less than so long ago is one of now, in milliseconds.
const RECENT: Millis = 60_000;

/// Where the data of a project is: a paragraph for each place.
pub fn volumes(volumes: &ProjectVolumes, now: Millis) -> Text {
    let text = Text::new().bold(volumes.project.as_str()).plain(" · where its data is\n");
    let mut text = match (volumes.stores.is_empty(), volumes.containers) {
        (true, 0) => text.plain("There are no containers, and no volumes either.\n"),
        (true, _) => text.plain("Nothing is mounted, and the containers' own layers hold nothing worth a word.\n"),
        _ => text,
    };
    let common = common_space(&volumes.stores);
    for store in &volumes.stores {
        text = one_store(text.line(), store, common.is_none(), now);
    }
    if let Some(space) = common {
        text = text.plain(format!("\nAll on one file system: {}\n", free(&space)));
    }
    if !volumes.unknown.is_empty() {
        text = text.line();
    }
    for sentence in &volumes.unknown {
        text = warning(text, sentence);
    }
    trimmed(text)
}

/// The room of the only file system that all stores with a known one are on; none where there are others, or where one
/// line says it as well.
fn common_space(stores: &[Store]) -> Option<Space> {
    let mut known = stores.iter().filter_map(|store| store.space);
    let first = known.next()?;
    let mut others = known.peekable();
    (others.peek().is_some() && others.all(|other| other.device == first.device)).then_some(first)
}

fn one_store(text: Text, store: &Store, with_space: bool, now: Millis) -> Text {
    let (title, kind) = heading(store);
    let mut text = text.plain(format!("{} ", mark(store))).code(title).plain(format!(" · {kind}\n"));
    let facts: Vec<String> = size(store, now).into_iter().chain([becomes(store).to_owned()]).collect();
    text = text.plain(format!("{}\n", facts.join("; ")));
    for user in store.users.iter().take(USERS_SHOWN) {
        text = text.plain(format!("{}\n", used(user)));
    }
    match store.users.len().saturating_sub(USERS_SHOWN) {
        0 => {}
        more => text = text.plain(format!("and {more} more\n")),
    }
    if store.users.is_empty() {
        text = text.plain("used by no container\n");
    }
    if let Some(space) = store.space.filter(|_| with_space) {
        text = text.plain(format!("{}\n", free(&space)));
    }
    match store.trouble {
        Some(Trouble::Gone) => warning(text, "Nothing is there any more."),
        Some(Trouble::Silent) => warning(text, "It does not answer."),
        None => text,
    }
}

fn heading(store: &Store) -> (UntrustedText, String) {
    let name = || UntrustedText::from(store.name.as_deref().unwrap_or_default());
    let driver = store.driver.as_deref().filter(|driver| *driver != "local");
    let driver = driver.map(|driver| format!(", driver {}", UntrustedText::from(driver))).unwrap_or_default();
    match store.kind {
        StoreKind::Volume => (name(), format!("volume{driver}")),
        StoreKind::Anonymous => (name().line(ID_SHOWN + 1).into(), format!("volume without a name{driver}")),
        StoreKind::Bind => (store.path.as_ref().map(UntrustedText::path).unwrap_or_default(), "from the host".to_owned()),
        StoreKind::Layer => (name(), "the container's own layer".to_owned()),
        StoreKind::Memory => ("memory".into(), "tmpfs".to_owned()),
        StoreKind::Other => (name(), "something else".to_owned()),
    }
}

fn mark(store: &Store) -> &'static str {
    match (store.trouble, store.lasts) {
        (Some(_), _) => "🔴",
        (None, Lasts::Longer) => "🟢",
        (None, Lasts::UntilStopped) => "▫️",
        (None, Lasts::UntilBoot | Lasts::HandedOn | Lasts::UntilRemade) => "🟡",
    }
}

fn size(store: &Store, now: Millis) -> Option<String> {
    let limit = store.limit.map(|limit| format!("at most {}", bytes(limit)));
    match store.size {
        Figure::Known { bytes: n, at_least, measured } => {
            let more = if at_least { "at least " } else { "" };
            let age = now.saturating_sub(measured);
            let age = if age < RECENT { String::new() } else { format!(" (measured {} ago)", duration(age)) };
            let limit = limit.map(|limit| format!(", {limit}")).unwrap_or_default();
            Some(format!("{more}{}{limit}{age}", bytes(n)))
        }
        Figure::Unknown(Why::Nothing | Why::Gone) => limit,
        Figure::Unknown(Why::Slow) => Some("size not known yet: still being measured".to_owned()),
        Figure::Unknown(Why::NotHere) => Some("size not known: not mounted in my container".to_owned()),
        Figure::Unknown(Why::Forbidden) => Some("size not known: I may not look there".to_owned()),
        Figure::Unknown(Why::Untold) => Some("size not known".to_owned()),
    }
}

fn becomes(store: &Store) -> &'static str {
    match store.lasts {
        Lasts::Longer => "outlives its containers",
        Lasts::UntilBoot => "memory of the host, lost when that boots",
        Lasts::HandedOn => "handed on when the container is remade, left behind when it is removed",
        Lasts::UntilRemade => "lost when the container is remade",
        Lasts::UntilStopped => "lost when the container stops",
    }
}

fn used(user: &StoreUser) -> String {
    let right = if user.writable { "" } else { " (read only)" };
    format!("{}: {}{right}", user.service, UntrustedText::path(&user.at))
}

fn free(space: &Space) -> String {
    let part = (u128::from(space.free) * 100).checked_div(u128::from(space.total)).unwrap_or_default();
    format!("{} of {} free ({part} %)", bytes(space.free), bytes(space.total))
}

/// There is little room left on a file system.
pub fn low_space(low: &LowSpace) -> Text {
    let mut text = Text::new().plain("⚠️ ").bold("Little room is left").plain(format!("\n{}, on the file system of\n", free(&low.space)));
    for place in low.places.iter().take(PLACES_SHOWN) {
        let whose = match &place.keeps {
            Keeps::Own => "what I keep".to_owned(),
            Keeps::Production { project } => format!("production of {project}"),
            Keeps::Store { project } => format!("data of {project}"),
        };
        text = text.code(UntrustedText::path(&place.path)).plain(format!(" ({whose})\n"));
    }
    match low.places.len().saturating_sub(PLACES_SHOWN) {
        0 => {}
        more => text = text.plain(format!("and {more} more\n")),
    }
    text.plain(format!(
        "I say so below {} (\"warn_below\" of \"volumes\" in projects.json), and not again until there was room.\nWhen it is full, services that write there fail, and deploys are refused.",
        bytes(low.limit)
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::testing::check;
    use super::*;
    use crate::domain::project::{ProjectName, ServiceName};
    use crate::domain::space::Watched;
    use expect_test::expect;

    const GB: u64 = 1 << 30;
    const NOW: Millis = 1_000_000;

    fn user(service: &str, at: &str, writable: bool) -> StoreUser {
        StoreUser { service: ServiceName::new(service).unwrap(), at: at.into(), writable }
    }

    fn known(bytes: u64) -> Figure {
        Figure::Known { bytes, at_least: false, measured: NOW - 10 }
    }

    fn store(kind: StoreKind, name: &str, lasts: Lasts, users: &[StoreUser]) -> Store {
        let on_host = kind == StoreKind::Bind;
        Store {
            kind,
            name: (!on_host).then(|| name.to_owned()),
            path: on_host.then(|| name.into()),
            driver: matches!(kind, StoreKind::Volume | StoreKind::Anonymous).then(|| "local".to_owned()),
            users: users.iter().cloned().collect::<BTreeSet<_>>(),
            lasts,
            size: known(0),
            limit: None,
            space: None,
            trouble: None,
        }
    }

    fn shop(stores: Vec<Store>, containers: usize, unknown: &[&str]) -> ProjectVolumes {
        let unknown = unknown.iter().map(|sentence| (*sentence).to_owned()).collect();
        ProjectVolumes { project: ProjectName::new("shop").unwrap(), stores, containers, unknown }.in_order()
    }

    #[test]
    fn every_kind_of_store() {
        let room = |device| Some(Space { device, free: 18 * GB, total: 40 * GB });
        let db = [user("postgres", "/var/lib/postgresql/data", true), user("backup", "/data", false)];
        let id = "3f2a9c41d0e27f5b6a1c".repeat(3);
        let stores = vec![
            Store { size: known(1_288_490_189), space: room(1), ..store(StoreKind::Volume, "shop_db", Lasts::Longer, &db) },
            Store {
                driver: Some("nfs".to_owned()),
                size: Figure::Unknown(Why::Untold),
                ..store(StoreKind::Volume, "shop_old", Lasts::Longer, &[])
            },
            Store {
                size: Figure::Known { bytes: 3 * GB, at_least: true, measured: NOW - 185_000 },
                space: room(2),
                ..store(StoreKind::Bind, "/srv/shop/uploads", Lasts::Longer, &[user("web", "/uploads", true)])
            },
            Store {
                size: Figure::Unknown(Why::Gone),
                trouble: Some(Trouble::Gone),
                ..store(StoreKind::Bind, "/srv/shop/x", Lasts::Longer, &[user("web", "/x", false)])
            },
            Store { size: Figure::Unknown(Why::Slow), ..store(StoreKind::Anonymous, &id, Lasts::HandedOn, &[user("web", "/cache", true)]) },
            Store { size: known(5 << 20), ..store(StoreKind::Layer, "shop-web-1", Lasts::UntilRemade, &[user("web", "/", true)]) },
            Store {
                size: Figure::Unknown(Why::Nothing),
                limit: Some(64 << 20),
                ..store(StoreKind::Memory, "", Lasts::UntilStopped, &[user("web", "/run", true)])
            },
        ];
        check(
            &volumes(&shop(stores, 3, &["The engine's figures are not known: it refuses."]), NOW),
            expect![[r#"
                *shop* · where its data is

                🟢 `shop_db` · volume
                1.2 GB; outlives its containers
                backup: `/data` (read only)
                postgres: `/var/lib/postgresql/data`
                18 GB of 40 GB free (45 %)

                🟢 `shop_old` · volume, driver `nfs`
                size not known; outlives its containers
                used by no container

                🟢 `/srv/shop/uploads` · from the host
                at least 3 GB (measured 3 min 5 s ago); outlives its containers
                web: `/uploads`
                18 GB of 40 GB free (45 %)

                🔴 `/srv/shop/x` · from the host
                outlives its containers
                web: `/x` (read only)
                ⚠️ Nothing is there any more.

                🟡 `3f2a9c41d0e2…` · volume without a name
                size not known yet: still being measured; handed on when the container is remade, left behind when it is removed
                web: `/cache`

                🟡 `shop-web-1` · the container's own layer
                5 MB; lost when the container is remade
                web: `/`

                ▫️ `memory` · tmpfs
                at most 64 MB; lost when the container stops
                web: `/run`

                ⚠️ The engine's figures are not known: it refuses."#]],
        );
    }

    #[test]
    fn one_file_system_is_told_once() {
        let space = Some(Space { device: 1, free: GB, total: 40 * GB });
        let of = |name| Store { space, ..store(StoreKind::Volume, name, Lasts::Longer, &[user("db", "/data", true)]) };
        check(
            &volumes(&shop(vec![of("a"), of("b")], 1, &[]), NOW),
            expect![[r#"
                *shop* · where its data is

                🟢 `a` · volume
                0 B; outlives its containers
                db: `/data`

                🟢 `b` · volume
                0 B; outlives its containers
                db: `/data`

                All on one file system: 1 GB of 40 GB free (2 %)"#]],
        );
        check(
            &volumes(&shop(vec![of("a")], 1, &[]), NOW),
            expect![[r#"
                *shop* · where its data is

                🟢 `a` · volume
                0 B; outlives its containers
                db: `/data`
                1 GB of 40 GB free (2 %)"#]],
        );
    }

    #[test]
    fn nothing_to_tell() {
        check(
            &volumes(&shop(Vec::new(), 0, &[]), NOW),
            expect![[r#"
            *shop* · where its data is
            There are no containers, and no volumes either."#]],
        );
        check(
            &volumes(&shop(Vec::new(), 2, &[]), NOW),
            expect![[r#"
            *shop* · where its data is
            Nothing is mounted, and the containers' own layers hold nothing worth a word."#]],
        );
    }

    #[test]
    fn figures_that_are_not_known() {
        for why in [Why::Slow, Why::NotHere, Why::Forbidden, Why::Gone, Why::Untold, Why::Nothing] {
            let one = Store { size: Figure::Unknown(why), ..store(StoreKind::Volume, "a", Lasts::UntilBoot, &[]) };
            let said = size(&one, NOW);
            assert_eq!(said.is_none(), matches!(why, Why::Gone | Why::Nothing), "{why:?}: {said:?}");
        }
    }

    #[test]
    fn little_room() {
        let place = |path: &str, keeps| Watched { path: path.into(), keeps };
        let project = || "shop".to_owned();
        let low = LowSpace {
            space: Space { device: 1, free: 800 << 20, total: 40 * GB },
            limit: GB,
            places: vec![
                place("/var/lib/dockmaster", Keeps::Own),
                place("/srv/shop", Keeps::Production { project: project() }),
                place("/srv/data", Keeps::Store { project: project() }),
            ],
        };
        check(
            &low_space(&low),
            expect![[r#"
                ⚠️ *Little room is left*
                800 MB of 40 GB free (1 %), on the file system of
                `/var/lib/dockmaster` (what I keep)
                `/srv/shop` (production of shop)
                `/srv/data` (data of shop)
                I say so below 1 GB ("warn_below" of "volumes" in `projects.json`), and not again until there was room.
                When it is full, services that write there fail, and deploys are refused."#]],
        );
    }
}
